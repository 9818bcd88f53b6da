"""Tables in an imputer's units: which genes, which scale, whose samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings, strategies as st

from histoscribe.bulk import BulkTable, as_table
from histoscribe.errors import SettingError, TableError
from histoscribe.imputer.units import aliases_of, groups_of, learn_standard, standardise


def bulk(values: np.ndarray, *, scale: str = "log2", **obs: list[str]) -> BulkTable:
    table = AnnData(
        values.astype(np.float32), obs=pd.DataFrame(obs, index=[f"s{i}" for i in range(len(values))])
    )
    table.var_names = [f"GENE{number}X" for number in range(values.shape[1])]
    return as_table(table, name="mine", scale=scale)


def logs(samples: int = 40, genes: int = 12, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(random.uniform(4, 9, genes), random.uniform(0.5, 2, genes), (samples, genes))


def test_training_values_are_centred_and_scaled_where_known() -> None:
    values = logs()
    values[np.random.default_rng(1).random(values.shape) < 0.2] = np.nan
    standard, units, kept, _ = learn_standard(bulk(values))
    assert kept.all()
    assert np.allclose(np.nanmean(units, 0), 0, atol=1e-5)
    assert np.allclose(np.nanstd(units, 0), 1, atol=1e-5)
    assert np.allclose(standard.mean, np.nanmean(values, 0), atol=1e-4)


def test_a_table_in_any_order_of_genes_finds_its_places() -> None:
    standard, units, _, _ = learn_standard(bulk(logs()))
    turned = bulk(logs())
    turned.table._inplace_subset_var([3, 1, 7])
    found = standardise(turned, standard, {}, adapt=None)
    assert np.flatnonzero(found.places >= 0).tolist() == [1, 3, 7]
    assert np.allclose(found.values[:, [1, 3, 7]], units[:, [1, 3, 7]], atol=1e-6)
    assert np.isnan(found.values[:, 0]).all()


@settings(max_examples=25)
@given(st.floats(0.2, 5), st.floats(-20, 20))
def test_adapting_undoes_another_platform(slope: float, offset: float) -> None:
    standard, units, _, _ = learn_standard(bulk(logs()))
    found = standardise(bulk(logs() * slope + offset), standard, {}, adapt=True)
    assert np.allclose(found.values, units, atol=1e-2)
    assert found.adapted
    assert np.allclose(found.standard.undo(found.values), found.raw, atol=1e-2)


def test_counts_are_restored_as_log1p_and_never_below_zero() -> None:
    counts = np.random.default_rng(0).poisson(20, (40, 12))
    standard, _, _, _ = learn_standard(bulk(counts, scale="counts"))
    assert standard.scale == "log1p"
    assert standard.undo(np.full((1, 12), -50, dtype=np.float32)).min() == 0


def test_aliases_are_those_of_known_genes() -> None:
    table = bulk(logs())
    table.table.var["ensembl"] = [f"ENSG{number:08d}.2" for number in range(12)]
    standard, _, _, _ = learn_standard(table)
    assert aliases_of(table, standard)["ENSG00000003"] == "GENE3X"


def test_patients_are_given_named_or_each_sample() -> None:
    table = bulk(logs(), owner=[f"p{number // 2}" for number in range(40)])
    assert groups_of(table, None)[:2] == ["s0", "s1"]
    assert groups_of(table, "owner")[:2] == ["p0", "p0"]
    assert groups_of(table, ["x"] * 40) == ["x"] * 40
    assert groups_of(table, ["x", np.nan, "", *["x"] * 37])[:4] == ["x", "s1", "s2", "x"]
    with pytest.raises(SettingError, match="no column nobody"):
        groups_of(table, "nobody")
    with pytest.raises(TableError, match="2 patients"):
        groups_of(table, ["a", "b"])
