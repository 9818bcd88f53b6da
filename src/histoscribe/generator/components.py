"""What each component of the code does: genes, gene sets, which parent it comes from; and a picture of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control

from histoscribe.arrays import Floats, Wide
from histoscribe.errors import TableError
from histoscribe.files import replacing
from histoscribe.generator.metgen import MetGen
from histoscribe.generator.network import CODE
from histoscribe.genes.sets import enrich, present, shipped_gene_sets
from histoscribe.models.standard import Standard
from histoscribe.palette import PALE, TISSUE, TUMOUR

TOP = 100
SIGNIFICANT = 0.05
_OWN = ("component", "end", "strength", "from_primary", "from_site", "genes")
_LEAST_GENES = 4
_DRAWN = 25


def loadings(model: MetGen) -> Floats:
    """How the decoded profile changes with each component, shape (CODE, genes), in gene units.

    The central difference over one standard deviation of the component either way, at the mean code.
    """
    centre, step = model.known_codes.mean(0)[None], model.known_codes.std(0)
    with torch.inference_mode():
        up = model.met.decode(centre + torch.diag(step))
        down = model.met.decode(centre - torch.diag(step))
    return ((up - down) / 2).numpy()


def parent_shares(model: MetGen) -> tuple[Wide, Wide]:
    """Share of each component's variance over all pairs that comes from the cancer and from the site.

    Mean primaries and mean normal tissues of the training cohort are mixed at the median purity, every
    cancer with every site; main effects of a two-way analysis of variance, each of shape (CODE,), which with
    the interaction sum to 1.
    """
    cancers, sites = len(model.primary_code), len(model.normal_code)
    purity = model.purity.median().expand(cancers * sites)
    with torch.inference_mode():
        codes = model.mixer(
            model.primary_code.repeat_interleave(sites, 0), model.normal_code.repeat(cancers, 1), purity
        ).reshape(cancers, sites, CODE)
    total = codes.reshape(-1, CODE).var(0, correction=0).clamp_min(1e-9)
    shares = [codes.mean(over).var(0, correction=0) / total for over in (1, 0)]
    return shares[0].double().numpy(), shares[1].double().numpy()


def component_table(
    model: MetGen, standard: Standard, sets: Mapping[str, tuple[str, ...]] | None = None
) -> pd.DataFrame:
    """One line for each component and end (`+` or `-`), those that move most genes first; see `components`.

    Raises `TableError` if no set has four genes of the model.
    """
    kept = present(sets or shipped_gene_sets(), standard.genes, least=_LEAST_GENES)
    if not kept:
        remedy = "give sets of the same gene names"
        raise TableError(f"no gene set has {_LEAST_GENES} of the model's genes", remedy=remedy)
    loads = loadings(model)
    primary, site = parent_shares(model)
    genes = np.asarray(standard.genes)
    rows, tests = list[dict[str, Any]](), []
    for which in np.argsort(-np.square(loads).sum(1)):
        for end, signed in (("+", loads[which]), ("-", -loads[which])):
            top = np.argsort(-signed)[: min(TOP, len(genes) // 4)]
            tests.append(enrich(genes[top].tolist(), kept, genes.tolist()))
            own = int(which), end, float(np.sqrt(np.square(signed).mean())), primary[which], site[which]
            rows.append(dict(zip(_OWN, (*own, ", ".join(genes[top[:10]])), strict=True)))
    p_values = np.clip([test["p"] for test in tests], 0, 1)
    adjusted = false_discovery_control(p_values, axis=None).reshape(p_values.shape)
    for row, test, fixed in zip(rows, tests, adjusted, strict=True):
        order = np.argsort(test["p"].to_numpy(), kind="stable")
        best = test.iloc[order[0]]
        good = [str(test["set"].iloc[at]) for at in order[1:] if fixed[at] < SIGNIFICANT]
        row |= {"gene_set": str(best["set"]), "overlap": str(best["overlap"]), "p": float(best["p"])}
        row |= {"adjusted": float(fixed[order[0]]), "other_sets": ", ".join(good)}
    return pd.DataFrame(rows)


def draw_components(table: pd.DataFrame, path: Path) -> None:
    """Draw the significant of `Generator.components` as a PNG, the strongest 25; `StorageError` as
    `replacing`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = table[table["adjusted"] < SIGNIFICANT].head(_DRAWN)[::-1]
    figure = Figure(figsize=(9, 1.4 + 0.28 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(shown))
    primary, site = shown["from_primary"].to_numpy(), shown["from_site"].to_numpy()
    axes.barh(places, primary, color=TUMOUR, label="from the primary")
    axes.barh(places, 1 - primary - site, left=primary, color=PALE, label="from both together")
    axes.barh(places, site, left=1 - site, color=TISSUE, label="from the site")
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
