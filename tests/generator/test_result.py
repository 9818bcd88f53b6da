from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.errors import ModelError, SettingError
from histoscribe.generator import Generator
from histoscribe.generator.result import build_result, change_table, gene_set_changes, write_generated


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1e-3])
def test_a_faulty_profile_is_stopped(generator: Generator, wrong: float) -> None:
    values = np.ones((2, len(generator.genes)), dtype=np.float32)
    values[1, 1] = wrong
    obs = {"cancer": ["LUSC"] * 2, "site": ["liver"] * 2}
    with pytest.raises(ModelError, match="no expression"):
        build_result(values, values[:, :3], obs, values, generator.card, [])


def test_every_export_says_synthetic(
    generator: Generator, primaries: anndata.AnnData, tmp_path: Path
) -> None:
    made = generator.generate(primaries, site="liver", samples=4)
    write_generated(made, tmp_path / "x.h5ad")
    write_generated(made, tmp_path / "x.csv")
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert back.uns["histoscribe"]["synthetic"]
    assert back.obs["synthetic"].all()
    assert back[:2].obs["synthetic"].all()
    frame = pd.read_csv(tmp_path / "x.csv", index_col=0)
    assert frame["synthetic"].all()
    assert frame.index.str.startswith("synthetic-LUSC-liver").all()
    assert "diagnosis" in back.uns["histoscribe"]["notice"]
    with pytest.raises(SettingError, match="h5ad or"):
        write_generated(made, tmp_path / "x.txt")


def test_each_sample_changes_against_its_own_primary(generator: Generator) -> None:
    primary = np.repeat([[2.0], [8.0]], 10, axis=0).astype(np.float32).repeat(len(generator.genes), 1)
    obs = {"cancer": ["LUSC"] * 20, "site": ["liver"] * 20}
    made = build_result(primary + 1, primary[:, :3], obs, primary, generator.card, [])
    assert (change_table(made)["steady"] == 1).all()
    found = gene_set_changes(made, {"all": generator.genes}).loc["all"]
    assert (found["low"], found["change"], found["high"]) == (1, 1, 1)


def test_the_change_of_a_gene_comes_with_its_range_over_samples(generator: Generator) -> None:
    primary = np.full((50, len(generator.genes)), 3, dtype=np.float32)
    values = primary + np.linspace(0, 2, 50, dtype=np.float32)[:, None]
    obs = {"cancer": ["LUSC"] * 50, "site": ["liver"] * 50}
    made = build_result(values, values[:, :3], obs, primary, generator.card, [])
    found = change_table(made)
    np.testing.assert_allclose(found["change_low"], 0.1, atol=0.05)
    np.testing.assert_allclose(found["change_high"], 1.9, atol=0.05)
    assert (found["change"].between(found["change_low"], found["change_high"])).all()
