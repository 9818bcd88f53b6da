"""What is known of samples, from a file beside the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from histoscribe.bulk import BulkTable, as_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.errors import TableError


@pytest.fixture
def bulk() -> BulkTable:
    names = pd.DataFrame(index=["a", "b", "c"])
    values = np.random.default_rng(0).normal(8, 2, (3, 4)).astype(np.float32)
    genes = pd.DataFrame(index=["TP53", "KRT5", "ESR1", "MYC"])
    return as_table(AnnData(values, obs=names, var=genes), scale="log2")


def test_samples_are_joined_in_the_table_s_order(bulk: BulkTable, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sample,who,kind\nc,p3,x\na,p1,y\na,again,z\n")
    found = with_samples(bulk, tmp_path / "x.csv", roles={"patient": "who", "class": "who, kind"})
    assert list(found.table.obs_names) == ["a", "c"]
    assert list(found.table.obs["patient"]) == ["p1", "p3"]
    assert list(found.table.obs["class"]) == ["p1 y", "p3 x"]
    assert any("1 samples that x.csv does not list" in said for said in found.warnings)
    assert list(with_samples(found, only="kind=x").table.obs_names) == ["c"]


def test_a_class_that_is_named_in_part_is_not_known(bulk: BulkTable) -> None:
    bulk.table.obs = pd.DataFrame({"cancer": [*"xxy"], "kind": ["p", None, "q"]}, index=[*"abc"])
    found = with_samples(bulk, roles={"class": "cancer,kind"}).table.obs["class"]
    assert found.isna().tolist() == [False, True, False]
    assert found["c"] == "y q"


@pytest.mark.parametrize(
    ("content", "said"),
    [("sample,who\nx,1\n", "names none"), (None, "cannot be read")],
)
def test_files_that_do_not_fit_are_refused(
    bulk: BulkTable, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "x.csv").write_text(content)
    with pytest.raises(TableError, match=said):
        with_samples(bulk, tmp_path / "x.csv")


def test_a_column_that_is_not_there_is_named(bulk: BulkTable) -> None:
    with pytest.raises(TableError, match="no column who"):
        with_samples(bulk, roles={"patient": "who"})
    bulk.table.obs["who"] = ["1", "2", "3"]
    with pytest.raises(TableError, match="no sample has who=9"):
        with_samples(bulk, only="who=9")


def test_the_file_beside_a_table_is_found(tmp_path: Path) -> None:
    assert file_beside(tmp_path / "x.expr.csv.gz") is None
    (tmp_path / "x.samples.tsv").write_text("")
    assert file_beside(tmp_path / "x.expr.csv.gz") == tmp_path / "x.samples.tsv"
    (tmp_path / "x.meta.csv").write_text("")
    assert file_beside(tmp_path / "x.expr.csv.gz") == tmp_path / "x.meta.csv"
