from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from histoscribe.imputer import Imputer


def make_table(samples: int = 90, genes: int = 60, seed: int = 0) -> AnnData:
    """Log2-like values of three classes with four factors; two samples per patient."""
    model = np.random.default_rng(7)
    loadings, means = model.normal(0, 1, (4, genes)), model.normal(8, 1.5, (3, genes))
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, samples)
    values = (
        means[kind] + random.normal(0, 1, (samples, 4)) @ loadings + random.normal(0, 0.4, (samples, genes))
    )
    table = AnnData(values.astype(np.float32))
    table.obs_names = [f"s{seed}-{i}" for i in range(samples)]
    table.var_names = [f"GENE{i}" for i in range(genes)]
    table.obs["patient"] = [f"p{i // 2}" for i in range(samples)]
    table.obs["kind"] = kind
    return table


@pytest.fixture(scope="session")
def trained() -> Imputer:
    return Imputer(factors=8, steps=12, seed=0).fit(make_table())


@pytest.fixture
def fresh() -> AnnData:
    return make_table(samples=20, seed=1)


@pytest.fixture(scope="session")
def table_maker() -> object:
    return make_table
