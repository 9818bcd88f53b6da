"""Classes through the shell: learned from a table with labels, told with reasons, on tissue too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoscribe.section import write_section
from histoscribe.simulate import simulate_section


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("classify"), np.random.default_rng(0)
    kind = np.repeat(["gut", "lung"], 20)
    values = 8 + random.normal(size=(40, 30))
    values[kind == "gut", :6] += 3
    names = [f"s-{row}-x" for row in range(40)]
    pd.DataFrame(values, names, [f"GENE{gene}A" for gene in range(30)]).to_csv(folder / "bulk.expr.csv")
    about = pd.DataFrame({"kind": kind, "one": "same", "rare": ["gut"] * 39 + ["eye"]}, names)
    about.to_csv(folder / "bulk.meta.csv")
    return folder / "bulk.expr.csv"


def test_classes_are_learned_and_told(bulk: Path, shell: Callable, tmp_path: Path) -> None:
    model, markers = tmp_path / "model", tmp_path / "markers.csv"
    result = shell(
        "train", "classifier", bulk, "--out", model, "--class", "kind", "--markers", markers, "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["classes"] == ["gut", "lung"]
    assert set(pd.read_csv(markers)["class"]) == {"gut", "lung"}
    out = tmp_path / "told.csv"
    result = shell("classify", bulk, "--model", model, "--out", out, "--explain", "--json")
    assert result.exit_code == 0, result.stderr
    told = pd.read_csv(out, index_col=0)
    assert (told["nearest"] == np.repeat(["gut", "lung"], 20)).all()
    assert told["carried_by"].iloc[0].startswith("GENE")
    assert json.loads(result.stdout)["samples"] == 40
    assert json.loads(result.stdout)["asked"] == "alone"
    result = shell("classify", bulk, "--model", model, "--out", out, "--together", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["asked"] == "together"
    assert (pd.read_csv(out)["company"] == 19).all()


@pytest.mark.slow
def test_a_section_is_told_as_one_sample_by_the_bundled_model(shell: Callable, tmp_path: Path) -> None:
    write_section(simulate_section(0, genes=120, size_um=900), tmp_path / "section.h5ad")
    result = shell("classify", tmp_path / "section.h5ad", "--out", tmp_path / "told.csv")
    assert result.exit_code == 0, result.stderr
    assert len(pd.read_csv(tmp_path / "told.csv")) == 1


@pytest.mark.parametrize(
    ("column", "said"),
    [("one", "name 1 class"), ("rare", "class eye has one patient"), ("stage", "no column stage")],
)
def test_bad_labels_are_a_sentence(
    bulk: Path, shell: Callable, tmp_path: Path, column: str, said: str
) -> None:
    result = shell("train", "classifier", bulk, "--out", tmp_path / "model", "--class", column)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "model").exists()
