"""The demo, on a sample small enough for a test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata
import pytest

from histoscribe.cli import demo
from histoscribe.simulate import sample
from histoscribe.simulate.section import simulate_section

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small_sample() -> Iterator[None]:
    names = {"A": "P1", "B": "P1", "C": "P2"}
    sections = [
        simulate_section(seed, name=name, patient=patient, genes=60, size_um=800.0)
        for seed, (name, patient) in enumerate(names.items())
    ]
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(sample, "sample_cohort", lambda: sections)
        changed.setattr(demo, "MODEL", {"seed": 0, "members": 1, "epochs": 2})
        yield


@pytest.fixture(scope="module")
def made(shell: Callable, small_sample: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where the demo was run, in a folder with a file of the user's, and what it said."""
    out = tmp_path_factory.mktemp("made") / "demo"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    result = shell("demo", "--no-view", "--out", out)
    assert result.exit_code == 0, result.stderr
    return out, result.stdout


def test_the_demo_leaves_all_it_speaks_of(made):
    out, said = made
    assert {path.name for path in out.iterdir()} == {*demo.MADE, "mine.txt"}
    assert len(list((out / "genes").glob("*.png"))) == demo.PAINTED
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["training"] == ["A", "B"]
    assert summary["settings"]["held_out"] == "C"
    assert summary["summary"]["split"] == "patient out"
    assert -1 <= summary["summary"]["mean_pearson_truth"] <= 1
    for name in ("predicted.h5ad", "predicted_grid.h5ad"):
        table = anndata.read_h5ad(out / name)
        assert table.uns["histoscribe"]["command"] == f"histoscribe demo --no-view --out {out}"
        assert table.n_obs > 0
    for name in demo.MADE:
        assert name in said.replace("\n", "")


def test_the_demo_again_replaces_its_own_results_and_says_them_as_json(shell, made, tmp_path):
    shutil.copytree(made[0], tmp_path / "demo")
    said = shell("demo", "--no-view", "--json", "--out", tmp_path / "demo").stdout
    assert json.loads(said) == json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert (tmp_path / "demo" / "mine.txt").read_text() == "kept"


def test_a_file_in_the_way_is_said(shell, tmp_path):
    (tmp_path / "file").touch()
    result = shell("demo", "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert "not a folder" in result.stderr
