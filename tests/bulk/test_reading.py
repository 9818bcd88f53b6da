from __future__ import annotations

import gzip
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.bulk import as_table, read_table
from histoscribe.errors import HistoscribeError, TableError

GENES = ["TP53", "KRT5", "ESR1", "HLA-A", "GATA3", "EPCAM"]


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    values = random.normal(8, 2, (4, len(GENES))).round(3)
    return pd.DataFrame(values, index=[f"patient-{i}-a" for i in range(4)], columns=GENES)


def test_both_ways_and_all_separators_give_the_same(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.iloc[1, 2] = np.nan
    frame.to_csv(tmp_path / "a.csv")
    frame.T.to_csv(tmp_path / "b.tsv", sep="\t")
    frame.to_csv(tmp_path / "c.csv", sep=";", decimal=",")
    frame.to_csv(tmp_path / "d.csv.gz")
    for name in ("a.csv", "b.tsv", "c.csv", "d.csv.gz"):
        bulk = read_table(tmp_path / name)
        assert list(bulk.table.var_names) == GENES
        assert list(bulk.table.obs_names) == list(frame.index)
        assert np.allclose(bulk.table.X, frame.to_numpy(), equal_nan=True)
        assert bulk.scale == "log2"


def test_a_header_without_a_corner_cell_as_r_writes_it(frame: pd.DataFrame, tmp_path: Path) -> None:
    text = frame.to_csv(sep="\t").removeprefix("\t")
    (tmp_path / "x.tsv").write_text(text)
    assert np.allclose(read_table(tmp_path / "x.tsv").table.X, frame.to_numpy())


def test_gct_with_ensembl_ids_uses_its_descriptions(frame: pd.DataFrame, tmp_path: Path) -> None:
    table = frame.T.copy()
    table.insert(0, "Description", GENES)
    table.index = [f"ENSG0000000000{i}.4" for i in range(len(GENES))]
    table.index.name = "Name"
    text = f"#1.2\n{len(GENES)}\t{len(frame)}\n" + table.to_csv(sep="\t")
    (tmp_path / "x.gct").write_text(text)
    bulk = read_table(tmp_path / "x.gct")
    assert list(bulk.table.var_names) == GENES
    assert any("Description" in said for said in bulk.warnings)


def test_h5ad_round_trip(frame: pd.DataFrame, tmp_path: Path) -> None:
    anndata.AnnData(frame.astype("float32")).write_h5ad(tmp_path / "x.h5ad")
    assert np.allclose(read_table(tmp_path / "x.h5ad").table.X, frame.to_numpy())


def test_duplicates_are_summed_as_counts_and_chosen_as_logs() -> None:
    counts = anndata.AnnData(np.array([[1, 2, 30], [4, 5, 60]], dtype="float32"))
    counts.var_names = ["A1BG", "TP53", "A1BG"]
    bulk = as_table(counts)
    assert bulk.table["0", "A1BG"].X.item() == 31
    assert any("summed" in said for said in bulk.warnings)
    counts.X = np.array([[1.5, 2.5, 3.5], [1.5, 2.5, np.nan]], dtype="float32")
    kept = as_table(counts).table[:, "A1BG"].X.ravel()
    assert kept[0] == 3.5
    assert np.isnan(kept[1])


def test_a_text_among_numbers_is_named(frame: pd.DataFrame, tmp_path: Path) -> None:
    table = frame.astype(object)
    table.iloc[2, 3] = "oops"
    table.to_csv(tmp_path / "x.csv")
    with pytest.raises(TableError, match=r"'oops'.*patient-2-a.*HLA-A"):
        read_table(tmp_path / "x.csv")


def test_a_table_larger_than_memory_says_so(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "x.csv")
    anndata.AnnData(frame.astype("float32")).write_h5ad(tmp_path / "x.h5ad")
    for name in ("x.csv", "x.h5ad"):
        with pytest.raises(TableError, match="larger than the memory"):
            read_table(tmp_path / name, memory=16)


def _damaged() -> dict[str, bytes]:
    whole = gzip.compress(b"a,TP53,KRT5\ns,1.5,2\n" * 5000)
    return {
        "empty.csv": b"",
        "header.csv": b"a,TP53,KRT5\n",
        "one.csv": b"hello\nworld\n",
        "binary.csv": bytes(range(256)) * 20,
        "cut.csv.gz": whole[: len(whole) // 2],
        "ragged.csv": b"a,TP53,KRT5\ns,1,2,3,4,5\nt,1,2\n",
        "words.csv": b"a,TP53,KRT5\ns,x,y\nt,u,v\n",
        "cut.h5ad": b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
    }


@pytest.mark.parametrize("name", sorted(_damaged()))
def test_damaged_files_are_explained(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(_damaged()[name])
    with pytest.raises(HistoscribeError) as caught:
        read_table(tmp_path / name)
    assert caught.value.remedy


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "none.csv")


@pytest.mark.realdata
def test_entrez_counts_with_genes_in_rows(real_data: Path) -> None:
    bulk = read_table(real_data / "bulk" / "crcTCGAsubset.expr.csv.gz")
    assert bulk.table.shape == (92, 17045)
    assert (bulk.scale, bulk.identifiers) == ("counts", "entrez")


@pytest.mark.parametrize("form", ["h5ad", "csv"])
def test_genes_that_are_only_numbered_are_doubted(form: str, tmp_path: Path) -> None:
    """Their names were lost on the way: 1, 2 and 3 are no Entrez numbers then."""
    values = np.random.default_rng(0).poisson(5, (4, 30)).astype(np.float32)
    names = [f"s{row}" for row in range(4)]
    if form == "h5ad":
        anndata.AnnData(values, obs=pd.DataFrame(index=names)).write_h5ad(tmp_path / "table.h5ad")
    else:
        pd.DataFrame(values, names).to_csv(tmp_path / "table.csv")
    found = read_table(tmp_path / f"table.{form}")
    assert found.table.shape == (4, 30)
    assert any("look like no names of genes: were they lost?" in words for words in found.warnings)
