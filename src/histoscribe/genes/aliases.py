"""Other names of genes: those a table states, renamed families, and what pathologists call them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "feature_id", "gene_symbols", "gene_name", "feature_name")
_LISTS = ("alias", "aliases", "synonyms")
_FAMILIES = (("MARCHF", "MARCH"), ("SEPTIN", "SEPT"), ("MTARC", "MARC"))

IN_THE_CLINIC: Mapping[str, tuple[str, ...]] = {
    "ACTA2": ("SMA",),
    "ALK": ("CD246",),
    "AR": ("NR3C4",),
    "CD274": ("PDL1", "PD-L1", "B7H1"),
    "CD276": ("B7H3",),
    "CD8A": ("CD8",),
    "CDH1": ("E-CADHERIN", "ECAD"),
    "CDKN2A": ("P16",),
    "CEACAM5": ("CEA", "CD66E"),
    "CHGA": ("CHROMOGRANIN",),
    "CTLA4": ("CD152",),
    "CTNNB1": ("BETA-CATENIN",),
    "EGFR": ("HER1", "ERBB1"),
    "EPCAM": ("CD326", "TACSTD1"),
    "ERBB2": ("HER2", "NEU", "CD340"),
    "ERBB3": ("HER3",),
    "ESR1": ("ER", "ERALPHA"),
    "FCGR3A": ("CD16",),
    "FOLR1": ("FRALPHA",),
    "IL2RA": ("CD25",),
    "ITGAX": ("CD11C",),
    "KIT": ("CD117",),
    "KLK3": ("PSA",),
    "KRT5": ("CK5",),
    "KRT7": ("CK7",),
    "KRT20": ("CK20",),
    "MKI67": ("KI67", "KI-67"),
    "MME": ("CD10",),
    "MS4A1": ("CD20",),
    "NCAM1": ("CD56",),
    "NKX2-1": ("TTF1", "TTF-1"),
    "PDCD1": ("PD1", "PD-1", "CD279"),
    "PECAM1": ("CD31",),
    "PGR": ("PR", "NR3C3"),
    "PTPRC": ("CD45",),
    "SDC1": ("CD138",),
    "SYP": ("SYNAPTOPHYSIN",),
    "TACSTD2": ("TROP2", "TROP-2"),
    "TNFRSF8": ("CD30",),
    "TP53": ("P53",),
    "VEGFA": ("VEGF",),
}


def other_names(tables: Iterable[pd.DataFrame]) -> dict[str, tuple[str, ...]]:
    """Every other name under which a gene of these tables may be searched.

    `tables` are the `var` of AnnData tables, one row a gene. Read from their columns (`gene_ids`, `alias`,
    `synonyms` and the like; lists are split at commas, semicolons and bars), from families that were
    renamed (`MARCH1`, now `MARCHF1`) and from `IN_THE_CLINIC`.

    Returns
    -------
    dict of str to tuple of str
        Gene → its other names, only genes that have some.
    """
    found: dict[str, dict[str, None]] = {}
    for var in tables:
        genes = [str(name) for name in var.index]
        for gene in genes:
            known = [*IN_THE_CLINIC.get(gene, ()), *_family(gene)]
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


def _family(gene: str) -> list[str]:
    for new, old in _FAMILIES:
        for here, there in ((new, old), (old, new)):
            rest = gene.removeprefix(here)
            if rest != gene and rest.isdigit():
                return [there + rest]
    return []
