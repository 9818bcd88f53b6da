from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest

from histoscribe.errors import TableError
from histoscribe.generator import Cohort, cohort_of, read_metastasis_cohort
from histoscribe.generator.cohort import join_platforms


def test_a_table_with_its_samples_file_becomes_a_cohort(
    tmp_path: Path, table: anndata.AnnData, cohort: Cohort
) -> None:
    table.to_df().to_csv(tmp_path / "c.expr.csv")
    table.obs.to_csv(tmp_path / "c.meta.csv")
    read = read_metastasis_cohort(tmp_path / "c.expr.csv")
    assert set(read.kinds) == {"primary", "normal", "metastasis"}
    assert np.allclose(read.values, cohort.values, atol=1e-4)
    assert (read.sites[read.kinds == "primary"] == "").all()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("sample_type", "organoid", "is no sample_type"),
        ("cancer", "", "have no cancer"),
        ("site", "", "have no site"),
    ],
)
def test_samples_that_do_not_say_what_they_are(
    table: anndata.AnnData, column: str, value: str, said: str
) -> None:
    table.obs[column] = value
    with pytest.raises(TableError, match=said):
        cohort_of(table)


def test_a_missing_column_is_named(table: anndata.AnnData) -> None:
    del table.obs["patient"]
    with pytest.raises(TableError, match="no column patient"):
        cohort_of(table)


def test_centred_values_cannot_be_mixed(table: anndata.AnnData) -> None:
    table.X = (table.X - table.X.mean(0)).astype(np.float32)
    with pytest.raises(TableError, match="abundances cannot be had"):
        cohort_of(table)


def test_missing_and_negative_values_become_not_detected(table: anndata.AnnData) -> None:
    table.X[0, 0], table.X[1, 1] = np.nan, -3
    cohort = cohort_of(table)
    assert cohort.values[0, 0] == 0
    assert cohort.values[1, 1] == 0
    assert any("not detected" in note for note in cohort.notes)


def test_two_platforms_meet_on_common_genes(cohort: Cohort) -> None:
    from dataclasses import replace

    other = replace(cohort, values=cohort.values * 0.5 + 1, genes=(*cohort.genes[:-5], *"ABCDE"))
    joined = join_platforms(cohort, other)
    assert len(joined.genes) == len(cohort.genes) - 5
    assert np.allclose(np.sort(joined.values[len(cohort) :], 1), np.sort(joined.values[-1])[None], atol=1e-5)
    assert any("two platforms" in note for note in joined.notes)
