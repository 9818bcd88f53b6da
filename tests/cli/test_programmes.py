"""Programmes through the shell: learned with hazards, found on a section and in its regions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.section import write_section
from histoscribe.simulate import simulate_section
from histoscribe.tiles import Region, write_regions


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pseudo-bulk of random spots, and what is known of its samples beside it."""
    folder, random = tmp_path_factory.mktemp("programmes"), np.random.default_rng(0)
    section = simulate_section(1, genes=120, size_um=1200)
    counts = np.array(
        [section.table.X[random.integers(0, section.table.n_obs, 3)].toarray().sum(0) for _ in range(50)]
    )
    names = [f"s-{number}-x" for number in range(50)]
    pd.DataFrame(counts, names, section.genes).to_csv(folder / "bulk.expr.csv")
    about = pd.DataFrame({"days": random.exponential(9, 50), "died": np.arange(50) % 2, "alive": 0}, names)
    about.to_csv(folder / "bulk.meta.csv")
    write_section(section, folder / "section.h5ad")
    write_regions(
        [Region("core", (200, 0, 0), np.array([[0, 0], [0, 600], [600, 600], [600, 0.0]]))],
        folder / "core.geojson",
    )
    return folder / "bulk.expr.csv"


def test_programmes_are_learned_and_found_on_tissue(bulk: Path, shell: Callable, tmp_path: Path) -> None:
    model = tmp_path / "model"
    words = ("--survival", "days,died", "--number", 3, "--json")
    result = shell("programmes", bulk, "--out", model, *words)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["programmes"], facts["events"], len(facts["rows"])) == (3, 25, 3)
    assert facts["rows"][0]["low"] <= facts["rows"][0]["hazard"] <= facts["rows"][0]["high"]
    section, region = bulk.with_name("section.h5ad"), bulk.with_name("core.geojson")
    given = ("--model", model, "--region", region, "--json")
    result = shell("programmes", section, "--out", tmp_path / "on.h5ad", *given)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert {row["region"] for row in facts["regions"]} == {"core", "outside"}
    assert anndata.read_h5ad(tmp_path / "on.h5ad").shape == (facts["samples"], 3)
    result = shell("programmes", bulk, "--out", tmp_path / "in.csv", "--model", model)
    assert result.exit_code == 0, result.stderr
    assert pd.read_csv(tmp_path / "in.csv", index_col=0).shape == (50, 9)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--survival", "days"), "not TIME,EVENT"),
        (("--survival", "days,alive"), "no event came"),
        (("--survival", "days,cured"), "no column cured"),
    ],
)
def test_bad_survival_is_a_sentence(
    bulk: Path, shell: Callable, tmp_path: Path, words: tuple, said: str
) -> None:
    result = shell("programmes", bulk, "--out", tmp_path / "model", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "model").exists()
