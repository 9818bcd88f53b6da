from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.imputer.result import write_restored


@pytest.fixture
def restored() -> anndata.AnnData:
    values = np.array([[1.5, np.nan], [2.25, 3.0]], dtype=np.float32)
    names = {"obs": pd.DataFrame(index=["a", "b"]), "var": pd.DataFrame(index=["TP53", "KRT5"])}
    layers = {"restored": np.nan_to_num(values, nan=7.125), "sd": np.isnan(values) * np.float32(0.5)}
    return anndata.AnnData(values, **names, layers=layers)


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_text_holds_restored_values_and_their_deviations_beside(
    restored: anndata.AnnData, tmp_path: Path, ending: str, separator: str
) -> None:
    written = write_restored(restored, tmp_path / f"x{ending}")
    assert [path.name for path in written] == [f"x{ending}", f"x.sd{ending}"]
    values, deviations = (pd.read_csv(path, sep=separator, index_col=0) for path in written)
    assert values.loc["a", "KRT5"] == 7.125
    assert deviations.loc["a", "KRT5"] == 0.5
    assert deviations.loc["b"].sum() == 0


def test_h5ad_keeps_what_was_measured_apart(restored: anndata.AnnData, tmp_path: Path) -> None:
    assert write_restored(restored, tmp_path / "x.h5ad") == [tmp_path / "x.h5ad"]
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert np.isnan(back.X[0, 1])
    assert back.layers["restored"][0, 1] == 7.125
