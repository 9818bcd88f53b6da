"""A folder in HEST-1k's layout in the shell: said what it is, learned from, predicted on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import pytest


@pytest.fixture(scope="module")
def archive(write_hest: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    sections = {"A1": {}, "A2": {"patient": "PATIENT 1"}, "B1": {"patient": "Patient 2"}}
    return write_hest(tmp_path_factory.mktemp("hest"), sections)


def test_info_says_whose_its_sections_are(archive: Path, shell: Callable) -> None:
    told = json.loads(shell("info", archive, "--json").stdout)
    assert told["kind"] == "cohort"
    assert told["patients"] == ["A study: patient 1", "A study: patient 2"]
    assert [one["name"] for one in told["sections"]] == ["A1", "A2", "B1"]
    one = json.loads(shell("info", archive / "st" / "B1.h5ad", "--json").stdout)
    assert (one["kind"], one["patient"], one["mpp"]) == ("section", "A study: patient 2", 1.0)


@pytest.mark.slow
def test_a_model_is_learned_from_it_and_told_on_one_of_it(
    archive: Path, shell: Callable, tmp_path: Path
) -> None:
    options = (
        "--exclude",
        "B1",
        "--panel-size",
        8,
        "--epochs",
        1,
        "--encoder",
        "builtin",
        "--out",
        tmp_path / "model",
    )
    trained = shell("train", "predictor", archive, *options)
    assert trained.exit_code == 0, trained.stderr
    out = tmp_path / "predicted.h5ad"
    done = shell("predict", tmp_path / "model", archive, "--section", "B1", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert anndata.read_h5ad(out).shape == (56, 8)
