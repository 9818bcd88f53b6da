from __future__ import annotations

from collections.abc import Callable

import numpy as np
from anndata import AnnData

from histoscribe.imputer import Imputer
from histoscribe.imputer.result import as_section
from histoscribe.record import record_of
from histoscribe.section import Section

Maker = Callable[..., AnnData]


def test_a_restored_section_is_a_section_again(table_maker: Maker) -> None:
    table = table_maker(samples=80)
    table.X = np.random.default_rng(0).poisson(np.exp(table.X / 3)).astype(np.float32)
    table.obsm["spatial"] = np.random.default_rng(1).uniform(0, 100, (80, 2))
    imputer = Imputer(factors=5, steps=0).fit(table)
    section = Section("A", table[:, :30].copy(), None, 0.5, 55.0, 100.0, "P")
    found = as_section(section, imputer.restore(section))
    assert found.table.n_vars == 60
    assert np.isfinite(found.table.X).all()
    assert (found.table.var["restored"] > 0).sum() == 30
    assert record_of(found.table).kind == "restored"
