from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from histoscribe.bulk import read_table
from histoscribe.cli.sample import WRITTEN
from histoscribe.models import bundled, load_model
from histoscribe.section import read_cohort_csv


def test_the_sample_is_written_whole_and_never_over_something(shell: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "sample"
    assert shell("sample", "--to", str(folder)).exit_code == 0
    assert {path.name for path in folder.iterdir()} >= set(WRITTEN)
    assert [row.section for row in read_cohort_csv(folder / "cohort.csv")] == ["P1A", "P1B", "P2A", "P3A"]
    again = shell("sample", "--to", str(folder))
    assert again.exit_code == 2
    assert "not replaced" in again.stderr


def test_the_tables_fit_the_bundled_models(shell: Callable, tmp_path: Path) -> None:
    shell("sample", "--to", str(tmp_path / "sample"))
    whole, panel = (read_table(tmp_path / "sample" / name) for name in ("primary.csv", "panel.csv"))
    assert list(whole.table.var_names) == list(load_model(bundled("generator-tcga11"))[1].genes)
    assert whole.scale == panel.scale == "log2"
    assert panel.table.n_vars * 3 - whole.table.n_vars in (0, 1, 2)
