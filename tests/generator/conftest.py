"""A tiny cohort with a known programme, and a generator trained on it in seconds."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.generator import Cohort, Generator, cohort_of
from histoscribe.generator.parents import mix
from histoscribe.genes import shipped_gene_sets

SETS = ("CELL_CYCLE", "SITE_LIVER", "SITE_LUNG", "SQUAMOUS")
SHIFT = 1.5


def tiny_table(seed: int = 0, samples: int = 12) -> anndata.AnnData:
    """Two cancers, two sites: each marked by a gene set, metastases by cell cycle."""
    sets = shipped_gene_sets()
    marked = {name: sets[name][:30] for name in SETS}
    genes = list(dict.fromkeys(gene for members in marked.values() for gene in members))
    genes += [f"OTHER{number}" for number in range(60)]
    index = {gene: place for place, gene in enumerate(genes)}
    random = np.random.default_rng(seed)

    def profile(*names: str) -> np.ndarray:
        values = random.normal(6, 0.5, len(genes))
        for name in names:
            values[[index[gene] for gene in marked[name]]] += 4
        return values.astype(np.float32)

    rows, obs = [], []
    cancers, sites = {"BRCA": (), "LUSC": ("SQUAMOUS",)}, {"liver": ("SITE_LIVER",), "lung": ("SITE_LUNG",)}
    for number in range(samples):
        for cancer, names in cancers.items():
            rows.append(profile(*names))
            obs.append(("primary_tumor", cancer, "", f"p{number}"))
        for site, names in sites.items():
            rows.append(profile(*names))
            obs.append(("solid_tissue_normal", "", site, f"n{number}"))
        for cancer, of_cancer in cancers.items():
            for site, of_site in sites.items():
                tumour = profile(*of_cancer)
                tumour[[index[gene] for gene in marked["CELL_CYCLE"]]] += SHIFT
                share = np.array([random.uniform(0.4, 0.9)], dtype=np.float32)
                rows.append(mix(tumour[None], profile(*of_site)[None], share)[0])
                obs.append(("metastatic", cancer, site, f"m{number}{cancer}{site}"))
    frame = pd.DataFrame(obs, columns=["sample_type", "cancer", "site", "patient"]).set_index(
        np.array([f"s{number}" for number in range(len(rows))])
    )
    return anndata.AnnData(np.stack(rows), obs=frame, var=pd.DataFrame(index=genes))


@pytest.fixture
def table() -> anndata.AnnData:
    return tiny_table()


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    return cohort_of(tiny_table())


@pytest.fixture(scope="session")
def generator(cohort: Cohort) -> Generator:
    return Generator(met_steps=60, mixing_steps=60).fit(cohort)


@pytest.fixture
def primaries() -> anndata.AnnData:
    """Six primaries of LUSC that the generator has not seen."""
    table = tiny_table(seed=1, samples=6)
    rows = (table.obs["sample_type"] == "primary_tumor") & (table.obs["cancer"] == "LUSC")
    return table[rows.to_numpy()].copy()


@pytest.fixture
def livers() -> anndata.AnnData:
    table = tiny_table(seed=2, samples=6)
    rows = (table.obs["sample_type"] == "solid_tissue_normal") & (table.obs["site"] == "liver")
    return table[rows.to_numpy()].copy()
