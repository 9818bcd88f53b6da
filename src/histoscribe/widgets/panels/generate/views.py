"""What was generated, to look at: changes by gene and gene set, a map among known metastases, components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoscribe.palette import PALE, SPOT, TISSUE, TUMOUR
from histoscribe.widgets.layers.layers import LayerData, spot_layer
from histoscribe.widgets.parts.fields import is_section
from histoscribe.widgets.parts.plots import Dots
from histoscribe.widgets.parts.tables import Column

if TYPE_CHECKING:
    from histoscribe.widgets.panels.generate.generation import Generated


def _words(name: object) -> str:
    return str(name).replace("_", " ").lower()


GENES = (
    Column("gene", lambda row: str(row.Index), key=lambda row: str(row.Index), left=True),
    Column("log2 change", lambda row: f"{row.change:+.2f}", key=lambda row: row.change),
    Column("primary", lambda row: f"{row.primary:.1f}", key=lambda row: row.primary),
    Column("generated", lambda row: f"{row.generated:.1f}", key=lambda row: row.generated),
)
SETS = (
    Column("gene set", lambda row: _words(row.Index), key=lambda row: str(row.Index), left=True),
    Column("log2 change", lambda row: f"{row.change:+.2f}", key=lambda row: row.change),
    Column("95 % of samples", lambda row: f"{row.low:+.2f} to {row.high:+.2f}", key=lambda row: row.low),
    Column("genes", lambda row: f"{int(row.genes)}", key=lambda row: row.genes),
)
COMPONENTS = (
    Column("gene set", lambda row: _words(f"{row.gene_set} ({row.component}{row.end})"), left=True),
    Column("adjusted p", lambda row: f"{row.adjusted:.0e}", key=lambda row: row.adjusted),
    Column("from primary", lambda row: f"{row.from_primary:.0%}", key=lambda row: row.from_primary),
    Column("from site", lambda row: f"{row.from_site:.0%}", key=lambda row: row.from_site),
    Column("genes", lambda row: str(row.genes), left=True),
)


def map_groups(result: Generated) -> list[Dots]:
    """The generated samples among the model's training metastases, nearest kin above."""
    cancer, site = (str(result.table.obs[column].iloc[0]) for column in ("cancer", "site"))
    names = np.array(result.known_names)
    at_site, pair = np.char.endswith(names, f" at {site}"), names == f"{cancer} at {site}"
    kin = (
        (~at_site, PALE, "other metastases"),
        (at_site & ~pair, SPOT, f"other cancers at {site}"),
        (pair, TISSUE, f"{cancer} at {site}"),
    )
    known = [Dots(name, result.known[rows], colour) for rows, colour, name in kin if rows.any()]
    return [*known, Dots("generated", result.places, TUMOUR, 5.0)]


def score_layer(result: Generated) -> LayerData:
    """Describe the spots of the primary's section, coloured by how far they lie towards the metastasis."""
    source = result.request.primary.source
    assert is_section(source)
    assert result.scores is not None
    data, described, kind = spot_layer(source, name=f"{source.name} towards {result.request.site}")
    score = np.nan_to_num(result.scores)
    low, high = np.percentile(score, (2, 98))
    described.update(
        metadata={"adata": result.table, "synthetic": True},
        features={"score": score},
        face_color="score",
        face_colormap="magma",
        face_contrast_limits=(float(low), float(max(high, low + 1e-6))),
    )
    return data, described, kind
