"""Where results may go, and what a path stands for."""

from __future__ import annotations

import pytest

from histoscribe.cli.targets import kind_of, output_file, output_folder
from histoscribe.errors import HistoscribeError, SettingError, StorageError


def test_kinds_are_told_apart(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_text("{}")
    (tmp_path / "visium" / "spatial").mkdir(parents=True)
    (tmp_path / "slide.zarr").mkdir()
    for name in ("cohort.csv", "a.h5ad", "slide.SVS"):
        (tmp_path / name).touch()
    found = {path.name: kind_of(path) for path in tmp_path.iterdir()}
    assert found == {
        "model": "model",
        "visium": "section",
        "slide.zarr": "slide",
        "cohort.csv": "cohort",
        "a.h5ad": "section",
        "slide.SVS": "slide",
    }


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(HistoscribeError, match="no such file"):
        kind_of(tmp_path / "gone.svs")


def test_a_result_never_replaces_its_input(tmp_path):
    measured = tmp_path / "a.h5ad"
    measured.touch()
    with pytest.raises(SettingError, match="replace its own input"):
        output_file(tmp_path / "." / "a.h5ad", ".h5ad", inputs=[measured])


def test_a_result_keeps_its_ending(tmp_path):
    with pytest.raises(SettingError, match="must end in"):
        output_file(tmp_path / "a.csv", ".h5ad")


def test_a_folder_is_no_result_file(tmp_path):
    folder = tmp_path / "a.h5ad"
    folder.mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        output_file(folder, ".h5ad")


def test_a_file_is_no_folder_for_results(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="not a folder"):
        output_file(tmp_path / "file" / "a.h5ad", ".h5ad")


def test_a_model_never_replaces_other_things(tmp_path):
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(StorageError, match="not a model"):
        output_folder(tmp_path)
    assert output_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "card.json").touch()
    assert output_folder(tmp_path / "old") == tmp_path / "old"
