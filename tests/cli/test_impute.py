"""The imputer's verbs: train, tune, restore, benchmark; and every kind of bad table, named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

GENES = [f"GENE{number}A" for number in range(30)]
SAMPLES = 48


def make_frame(seed: int = 0, samples: int = SAMPLES) -> pd.DataFrame:
    """Log2-like values with three factors."""
    loadings = np.random.default_rng(7).normal(0, 1.2, (3, len(GENES)))
    random = np.random.default_rng(seed)
    values = 8 + random.normal(size=(samples, 3)) @ loadings + random.normal(0, 0.4, (samples, len(GENES)))
    return pd.DataFrame(values.round(4), index=[f"s-{i}-x" for i in range(samples)], columns=GENES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, what is known of its samples, and a model trained on it through the shell."""
    folder = tmp_path_factory.mktemp("impute")
    frame = make_frame()
    frame.to_csv(folder / "bulk.expr.csv")
    about = pd.DataFrame({"patient": [f"p{i // 2}" for i in range(SAMPLES)]}, index=frame.index)
    about["kind"] = np.where(frame["GENE0A"] > 8, "high", "low")
    about["months"], about["died"] = np.random.default_rng(0).exponential(20, SAMPLES), np.arange(SAMPLES) % 2
    about.to_csv(folder / "bulk.meta.csv")
    return folder


@pytest.fixture(scope="module")
def imputer(folder: Path, shell: Callable) -> Path:
    options = ("--steps", 4, "--factors", 4, "--licence", "mine", "--json")
    result = shell("train", "imputer", folder / "bulk.expr.csv", "--out", folder / "model", *options)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["samples"], facts["patients"], facts["genes"]) == (SAMPLES, SAMPLES // 2, len(GENES))
    assert not (folder / "model.training").exists()
    return folder / "model"


def test_genes_are_restored_marked_and_explained(
    imputer: Path, folder: Path, shell: Callable, tmp_path: Path
) -> None:
    frame = make_frame(1, 12)
    frame.iloc[:, :20].T.to_csv(tmp_path / "panel.tsv", sep="\t")
    out = tmp_path / "out.h5ad"
    words = ("--model", imputer, "--out", out, "--carriers", "GENE25A", "--json")
    result = shell("impute", tmp_path / "panel.tsv", *words)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["genes_restored"] == 10
    assert facts["genes_shared_with_the_model"] == 20
    table = anndata.read_h5ad(out)
    assert table.layers["mask"].sum() == 120
    np.testing.assert_allclose(table[:, GENES[:20]].layers["restored"], frame.iloc[:, :20], rtol=1e-5)
    truth, restored = frame[GENES[20:]].to_numpy(), table[:, GENES[20:]].layers["restored"]
    assert np.corrcoef(truth.ravel(), restored.ravel())[0, 1] > 0.7
    carried = pd.read_csv(tmp_path / "out.GENE25A.carriers.csv", index_col=0)
    assert set(carried.index) == set(GENES[:20])


def test_text_goes_in_and_out_with_its_deviations(imputer: Path, shell: Callable, tmp_path: Path) -> None:
    make_frame(2, 6).iloc[:, 5:].to_csv(tmp_path / "in.csv")
    result = shell("impute", tmp_path / "in.csv", "--model", imputer, "--out", tmp_path / "out.csv")
    assert result.exit_code == 0, result.stderr
    sd = pd.read_csv(tmp_path / "out.sd.csv", index_col=0)
    assert (sd[GENES[:5]] > 0).all(axis=None)
    assert (sd[GENES[5:]] == 0).all(axis=None)


def test_a_model_is_tuned_on_a_table_that_shares_some_genes(
    imputer: Path, shell: Callable, tmp_path: Path
) -> None:
    frame = make_frame(3).iloc[:, 10:]
    frame["NEW1"] = frame["GENE12A"] * 2 + 1
    frame.to_csv(tmp_path / "own.csv")
    words = ("--from", imputer, "--steps", 0, "--out", tmp_path / "tuned", "--json")
    result = shell("train", "imputer", tmp_path / "own.csv", *words)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["genes"] == len(GENES) + 1
    make_frame(4, 10).iloc[:, :15].to_csv(tmp_path / "panel.csv")
    words = ("--model", tmp_path / "tuned", "--out", tmp_path / "out.h5ad")
    assert shell("impute", tmp_path / "panel.csv", *words).exit_code == 0
    table = anndata.read_h5ad(tmp_path / "out.h5ad")
    new = table[:, "NEW1"].layers["restored"].ravel()
    assert np.corrcoef(new, make_frame(4, 10)["GENE12A"])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("task", "words", "measure"),
    [
        ("random", ("--methods", "gene mean,conditional Gaussian,KNN-10"), "RMSE, 50% missing at random"),
        ("low", ("--methods", "gene mean,KNN-10"), "MAE, 30% missing, low ones more often"),
    ],
)
def test_the_benchmark_prints_settings_and_records(
    folder: Path, shell: Callable, tmp_path: Path, task: str, words: tuple[str, ...], measure: str
) -> None:
    keep = tmp_path / "done.jsonl"
    more = ("--task", task, "--seeds", 2, "--keep", keep, "--class", "kind", "--json")
    result = shell("benchmark", "imputer", folder / "bulk.expr.csv", *more, *words)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    keys = {"method", "dataset", "split", "fold", "measure", "value", "low", "high"}
    assert all(set(record) == keys for record in document["records"])
    whole = {(one["method"], one["measure"]): one for one in document["records"] if one["fold"] == "all"}
    values = [one["value"] for (_, name), one in whole.items() if name == measure]
    assert max(values) == whole["gene mean", measure]["value"]
    assert document["settings"]["seeds"] == [1, 2]
    again = shell("benchmark", "imputer", folder / "bulk.expr.csv", *more, *words)
    assert json.loads(again.stdout)["records"] == document["records"]


def _no_overlap(path: Path) -> None:
    make_frame().rename(columns=lambda name: f"OTHER{name}").to_csv(path)


def _negative_counts(path: Path) -> None:
    frame = make_frame().round(0) * 100
    frame.iloc[2, 3] = -4
    frame.to_csv(path)


def _mixed_scales(path: Path) -> None:
    frame = make_frame() + 0.01
    frame.iloc[:20] = 2 ** frame.iloc[:20]
    frame.to_csv(path)


def _nothing_measured(path: Path) -> None:
    (make_frame() * np.nan).to_csv(path)


def _infinite(path: Path) -> None:
    frame = make_frame()
    frame.iloc[0, 0] = np.inf
    frame.to_csv(path)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (_no_overlap, "none of its 30 genes"),
        (_negative_counts, "negative"),
        (_mixed_scales, "different scales"),
        (_nothing_measured, "no value"),
        (_infinite, "infinite"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_and_nothing_written(
    imputer: Path, shell: Callable, tmp_path: Path, write: Callable[[Path], None], expected: str
) -> None:
    write(tmp_path / "bad.csv")
    result = shell("impute", tmp_path / "bad.csv", "--model", imputer, "--out", tmp_path / "out.h5ad")
    assert result.exit_code == 2
    assert expected in result.stderr
    assert not (tmp_path / "out.h5ad").exists()


def test_a_table_larger_than_memory_is_refused(
    imputer: Path, shell: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_frame().to_csv(tmp_path / "large.csv")
    monkeypatch.setattr("histoscribe.bulk.reading.free_memory", lambda: 100)
    result = shell("impute", tmp_path / "large.csv", "--model", imputer, "--out", tmp_path / "out.h5ad")
    assert result.exit_code == 2
    assert "larger than the memory that is free" in result.stderr


def _restored(
    shell: Callable, imputer: Path, frame: pd.DataFrame, folder: Path
) -> tuple[anndata.AnnData, str]:
    frame.to_csv(folder / "in.csv")
    result = shell("impute", folder / "in.csv", "--model", imputer, "--out", folder / "out.h5ad")
    assert result.exit_code == 0, result.stderr
    return anndata.read_h5ad(folder / "out.h5ad"), result.stderr


def test_one_observed_gene_is_restored_with_a_warning(imputer: Path, shell: Callable, tmp_path: Path) -> None:
    table, said = _restored(shell, imputer, make_frame(5)[["GENE3A"]].assign(ELSE1=1.5), tmp_path)
    assert "only 1 observed" in said
    assert table.n_vars == len(GENES) + 1


def test_constant_genes_stay_as_they_are(imputer: Path, shell: Callable, tmp_path: Path) -> None:
    table, _ = _restored(shell, imputer, make_frame(5).iloc[:, :20].assign(GENE3A=4.25), tmp_path)
    assert (table[:, "GENE3A"].X == 4.25).all()
    assert np.isfinite(table.layers["restored"]).all()


def test_samples_without_any_value_are_never_filled(imputer: Path, shell: Callable, tmp_path: Path) -> None:
    frame = make_frame(5)
    frame.iloc[4] = np.nan
    table, said = _restored(shell, imputer, frame, tmp_path)
    assert "1 of 48 samples have no value at all" in said
    assert np.isnan(table.layers["restored"][4]).all()
    assert not table.layers["mask"][4].any()


def test_symbols_that_became_dates_are_turned_back(imputer: Path, shell: Callable, tmp_path: Path) -> None:
    frame = make_frame(5).assign(**{"2-Sep": 3.5, "1-Mar": 4.5})
    table, said = _restored(shell, imputer, frame, tmp_path)
    assert "had become dates and were turned back" in said
    assert {"SEPT2", "MARCH1"} <= set(table.var_names)


def test_duplicated_genes_are_collapsed_and_said(imputer: Path, shell: Callable, tmp_path: Path) -> None:
    frame = make_frame(5).iloc[:, :20]
    doubled = pd.concat([frame, frame[["GENE3A"]] + 1], axis=1)
    table, said = _restored(shell, imputer, doubled, tmp_path)
    assert "occurred more than once" in said
    np.testing.assert_allclose(table[:, "GENE3A"].X.ravel(), frame["GENE3A"] + 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--model", "nowhere"), "no model of this name"),
        (("--out", "x.txt"), "must end in"),
        (("--carriers", "NOTHING"), "does not know the gene NOTHING"),
    ],
)
def test_wrong_options_are_named(
    imputer: Path, folder: Path, shell: Callable, tmp_path: Path, words: tuple[str, str], expected: str
) -> None:
    options = {"--model": imputer, "--out": tmp_path / "out.h5ad", words[0]: words[1]}
    pairs = [part for pair in options.items() for part in pair]
    result = shell("impute", folder / "bulk.expr.csv", *pairs)
    assert result.exit_code == 2
    assert expected in result.stderr
