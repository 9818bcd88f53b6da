"""Which gene sets stand out among chosen genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def enrich(
    top: Sequence[str], sets: Mapping[str, tuple[str, ...]], background: Sequence[str]
) -> pd.DataFrame:
    """Hypergeometric test of every set among the top genes, by gseapy, offline.

    Returns one row a set: `set`, `p` (1 where nothing is shared) and `overlap` in words.
    """
    import gseapy
    import pandas as pd

    strongest = set(top)
    overlaps = {name: len(strongest.intersection(genes)) for name, genes in sets.items()}
    hit = {name: list(genes) for name, genes in sets.items() if overlaps[name]}
    known: dict[str, float] = {}
    if hit:
        found = gseapy.enrich(
            gene_list=list(top), gene_sets=hit, background=list(background), outdir=None, no_plot=True,
            verbose=False,
        ).results  # fmt: skip
        known = dict(zip(found["Term"].astype(str), found["P-value"].astype(float), strict=True))
    return pd.DataFrame(
        {
            "set": list(sets), "p": [known.get(name, 1.0) for name in sets],
            "overlap": [f"{overlaps[name]} of {len(genes)}" for name, genes in sets.items()],
        }
    )  # fmt: skip
