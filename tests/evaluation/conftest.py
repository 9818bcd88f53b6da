"""One small simulated section, made once, and a prediction of it that is the truth with noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.simulate import simulate_section


@pytest.fixture(scope="session")
def simulated() -> Section:
    return simulate_section(5, name="S5", patient="P", genes=80, size_um=1400.0)


@pytest.fixture
def guess(simulated: Section) -> Section:
    table = simulated.table[:, :70].copy()
    noise = np.random.default_rng(0).normal(0, 0.4, table.shape)
    table.X = (table.layers["truth"] + noise).astype(np.float32)
    del table.layers["truth"]
    table.uns["histoscribe"] = {
        "kind": "predicted",
        "name": "S5",
        "training": [{"section": "T1", "patient": "Q"}, {"section": "T2", "patient": "R"}],
        "genes": list(table.var_names),
        "sha256": "c0ffee",
        "panel_rule": "70 most variable genes on the training sections",
        "command": "histoscribe predict model S5",
        "versions": {"torch": "2.13.0"},
    }
    return replace(simulated, table=table)
