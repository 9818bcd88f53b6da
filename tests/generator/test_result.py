from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.errors import ModelError, SettingError
from histoscribe.generator import Generator
from histoscribe.generator.result import build_result, write_generated


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1e-3])
def test_a_faulty_profile_is_stopped(generator: Generator, wrong: float) -> None:
    values = np.ones((2, len(generator.genes)), dtype=np.float32)
    values[1, 1] = wrong
    obs = {"cancer": ["LUSC"] * 2, "site": ["liver"] * 2}
    with pytest.raises(ModelError, match="no expression"):
        build_result(values, values[:, :3], obs, values, generator.genes, generator.card, [])


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
