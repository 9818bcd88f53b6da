"""What a path is opened as, and where results may go."""

from __future__ import annotations

import pytest

from histoscribe.cli.targets import open_cohort, open_target, output_file, output_folder
from histoscribe.errors import HistoscribeError, SettingError, StorageError


def test_what_a_verb_cannot_use_is_said_with_what_it_is(tmp_path):
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(HistoscribeError, match="this is a model, not a slide or a section"):
        open_target(tmp_path)
    with pytest.raises(HistoscribeError, match=r"this is a model, not a cohort or a section"):
        open_cohort([tmp_path])


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
