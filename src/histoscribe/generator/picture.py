"""The components as a picture: what each does, and whether it comes from the primary or the site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.files import replacing
from histoscribe.generator.components import SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 25
_PRIMARY, _SITE, _BOTH = "#d1495b", "#2a6f97", "#c9ced6"


def draw_components(table: pd.DataFrame, path: Path) -> None:
    """Draw the significant components as a PNG, the strongest 25.

    Parameters
    ----------
    table : DataFrame
        From `Generator.components`.
    path : Path

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = table[table["adjusted"] < SIGNIFICANT].head(_SHOWN)[::-1]
    figure = Figure(figsize=(9, 1.4 + 0.28 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(shown))
    primary, site = shown["from_primary"].to_numpy(), shown["from_site"].to_numpy()
    axes.barh(places, primary, color=_PRIMARY, label="from the primary")
    axes.barh(places, 1 - primary - site, left=primary, color=_BOTH, label="from both together")
    axes.barh(places, site, left=1 - site, color=_SITE, label="from the site")
    words = [
        f"{name.replace('_', ' ').lower()}  ({component}{end}, p {p:.0e})"
        for name, component, end, p in zip(
            shown["gene_set"], shown["component"], shown["end"], shown["adjusted"], strict=True
        )
    ]
    axes.set_yticks(list(places), words, fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the component's variance over cancers and sites")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.06 if len(shown) > 8 else 1.3), ncol=3, fontsize=8)
    with replacing(path) as fresh:
        figure.savefig(fresh, format="png", dpi=150)
