"""A small cohort in the layout of tcga11, and a bed made from it."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.generator import Cohort
from histoscribe.genes import shipped_gene_sets
from histoscribe.simulate.metastases import ORGANS, Bed, simulate_metastases

CANCERS = ("BRCA", "COAD", "LIHC", "LUAD")
SITES = ("liver", "lung")


@pytest.fixture(scope="session")
def tcga() -> Cohort:
    """Ten patients of each of four cancers, a primary and a normal tissue each."""
    sets = shipped_gene_sets()
    genes = tuple(dict.fromkeys([*sets["CELL_CYCLE"][:20], *sets["EMT"][:20], *(f"G{n}" for n in range(60))]))
    random = np.random.default_rng(0)
    of_cancer = {cancer: random.normal(7, 2, len(genes)) for cancer in CANCERS}
    of_organ = {cancer: random.normal(7, 2, len(genes)) for cancer in CANCERS}
    values, kinds, cancers, sites, patients = [], [], [], [], []
    for cancer in CANCERS:
        for number in range(10):
            for kind, centre in (("primary", of_cancer), ("normal", of_organ)):
                values.append(centre[cancer] + random.normal(0, 0.5, len(genes)))
                kinds.append(kind)
                cancers.append(cancer if kind == "primary" else "")
                sites.append(ORGANS[cancer] if kind == "normal" else "")
                patients.append(f"{cancer}-{number}")
    names = np.array([f"s{number}" for number in range(len(values))])
    return Cohort(
        np.maximum(np.stack(values), 0).astype(np.float32), genes, *map(np.array, (kinds, cancers, sites)),
        np.array(patients), names,
    )  # fmt: skip


@pytest.fixture(scope="session")
def bed(tcga: Cohort) -> Bed:
    return simulate_metastases(tcga, sites=SITES, per_pair=8, seed=1)
