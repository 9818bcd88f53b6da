from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from histoscribe.bulk import as_table
from histoscribe.bulk.table import bulk_of


@dataclass(frozen=True)
class Holder:
    name: str
    table: AnnData


def small(kind: str | None = None) -> AnnData:
    counts = np.random.default_rng(0).poisson(30, (12, 3)).astype(np.float32)
    names = {
        "obs": pd.DataFrame(index=[f"s{n}" for n in range(12)]),
        "var": pd.DataFrame(index=["TP53", "MYC", "EGFR"]),
    }
    return AnnData(counts, **names, uns={} if kind is None else {"histoscribe": {"kind": kind}})


def test_what_is_checked_already_is_given_back() -> None:
    checked = as_table(small(), name="mine")
    assert bulk_of(checked) is checked


@pytest.mark.parametrize(("kind", "scale"), [("measured", "counts"), ("predicted", "log1p")])
def test_a_section_says_its_scale_and_name(kind: str, scale: str) -> None:
    bulk = bulk_of(Holder("A1", small(kind)))
    assert (bulk.name, bulk.scale) == ("A1", scale)


def test_a_doubtful_scale_is_asked_for() -> None:
    values = np.random.default_rng(0).normal(1.5, 1.5, (40, 30)).astype(np.float32)
    table = AnnData(values)
    table.var_names = [f"GENE{place}" for place in range(30)]
    assert any("--scale standardised" in warning for warning in as_table(table).warnings)
    table.X = values + 8
    assert not any("--scale" in warning for warning in as_table(table).warnings)
