"""Other names of genes: those a table states, renamed families, and what pathologists call them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from histoscribe.genes.identifiers import renamed_symbols

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "feature_id", "gene_symbols", "gene_name", "feature_name")
_LISTS = ("alias", "aliases", "synonyms")


@cache
def clinical_names() -> Mapping[str, tuple[str, ...]]:
    """What pathologists call genes: symbol → names (`ERBB2` → `HER2`, `NEU`, `CD340`)."""
    lines = (files(__package__) / "clinical_names.tsv").read_text(encoding="utf-8").splitlines()
    return {gene: tuple(_split(names)) for gene, names in (line.split("\t") for line in lines)}


def other_names(tables: Iterable[pd.DataFrame]) -> dict[str, tuple[str, ...]]:
    """Every other name under which a gene of these tables may be searched.

    `tables` are the `var` of AnnData tables, one row a gene. Read from their columns (`gene_ids`, `alias`,
    `synonyms` and the like; lists are split at commas, semicolons and bars), from families that were
    renamed (`MARCH1`, now `MARCHF1`) and from `clinical_names`.

    Returns
    -------
    dict of str to tuple of str
        Gene → its other names, only genes that have some.
    """
    found: dict[str, dict[str, None]] = {}
    clinical = clinical_names()
    for var in tables:
        genes = [str(name) for name in var.index]
        for gene in genes:
            known = [*clinical.get(gene, ()), *renamed_symbols(gene)]
            if known:
                found.setdefault(gene, {}).update(dict.fromkeys(known))
        for column in (*_COLUMNS, *_LISTS):
            if column not in var:
                continue
            for gene, text in zip(genes, var[column].astype(str), strict=True):
                names = _split(text) if column in _LISTS else [text.strip()]
                kept = [name for name in names if name and name != gene and name.lower() != "nan"]
                if kept:
                    found.setdefault(gene, {}).update(dict.fromkeys(kept))
    return {gene: tuple(names) for gene, names in found.items()}


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.replace(";", ",").replace("|", ",").split(",")]
