"""A cohort whose programmes and hazards are planted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from histoscribe.simulate.genes import PROGRAMMES, plan_genes

KINDS = ("tumour", "t_cell", "fibroblast", "hypoxia", "division")
HAZARDS = {"hypoxia": 0.8, "t_cell": -0.8}


@pytest.fixture(scope="session")
def plant() -> Callable[..., AnnData]:
    """Make counts of so many samples, programmes active as `obsm["truth"]` says, survival hanging on two."""

    def make(seed: int = 0, samples: int = 160, genes: int = 200) -> AnnData:
        plan, random = plan_genes(genes), np.random.default_rng(seed)
        active = random.gamma(1.5, 1, (samples, len(KINDS)))
        loading = plan.loading[[PROGRAMMES.index(kind) for kind in KINDS]]
        base = 3 * plan.loading[PROGRAMMES.index("housekeeping")] + 0.02
        mean = active @ loading + base
        mean *= random.lognormal(11, 0.3, (samples, 1)) / mean.sum(1, keepdims=True)
        counts = random.poisson(random.gamma(1 / plan.dispersion, mean * plan.dispersion))
        z = np.log(active)
        z = (z - z.mean(0)) / z.std(0)
        risk = sum(slope * z[:, KINDS.index(kind)] for kind, slope in HAZARDS.items())
        died, lost = random.exponential(30 * np.exp(-risk)), random.exponential(40, samples)
        obs = pd.DataFrame({"time": np.minimum(died, lost), "event": (died <= lost).astype(int)})
        table = AnnData(
            counts.astype(np.float32),
            obs=obs.set_axis([f"s-{number}" for number in range(samples)]),
            var=pd.DataFrame(index=list(plan.names)),
        )
        table.obsm["truth"] = active / active.sum(1, keepdims=True)
        return table

    return make
