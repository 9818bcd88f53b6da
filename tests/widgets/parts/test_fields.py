"""The fields of forms: choices that follow what is offered, models of a kind, tables, numbers with units."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.qt import get_stylesheet
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QFileDialog

from histoscribe.models import bundled, bundled_names
from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.parts.fields import (
    ChoiceField,
    SourceField,
    is_section,
    number_field,
    words_field,
)
from histoscribe.widgets.parts.models import SIMULATED, ModelField
from histoscribe.widgets.state.preferences import remember_model

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings", "qapp")]


@pytest.fixture
def own_predictor(tmp_path: Path) -> Path:
    """A bundled predictor's card in a folder of the user's."""
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copy(bundled("her2st-breast") / "card.json", folder)
    return folder


def texts(field: ChoiceField) -> list[str]:
    return [field.native.itemText(place) for place in range(field.native.count())]


def test_a_choice_follows_what_is_offered_in_its_order() -> None:
    offered = [("one", 1), ("two", 2)]
    heard: list[Any] = []
    field = ChoiceField("number", lambda: offered, label="Number", tooltip="Of things", first=2)
    field.changed.connect(heard.append)
    assert field.value == 2
    offered.insert(0, ("zero", 0))
    field.reset_choices()
    assert (texts(field), field.value, heard) == (["zero", "one", "two"], 2, [])
    del offered[2]
    field.reset_choices()
    assert (field.value, heard) == (0, [0])
    offered.clear()
    field.reset_choices()
    assert (field.value, heard) == (None, [0, None])
    offered.append(("three", 3))
    field.reset_choices()
    assert heard == [0, None, 3]


def test_a_text_of_numpy_is_chosen_as_plain_text() -> None:
    field = ChoiceField("class", lambda: list(np.unique(["stroma", "tumour"])))
    assert (field.value, type(field.value)) == ("stroma", str)


def test_words_that_are_cut_end_in_an_ellipsis(qtbot: Any) -> None:
    def picture(words: str) -> Any:
        field = words_field("word", (words,))
        qtbot.addWidget(field.native)
        field.native.setStyleSheet(get_stylesheet("dark"))  # Qt's own style cuts them well
        field.native.resize(110, 26)
        return field.native.grab().toImage()

    words = "a rather long name of a layer"
    whole = picture(words)
    assert any(whole == picture(f"{words[:end]}…") for end in range(3, 9))


def test_a_choice_refuses_what_is_not_offered() -> None:
    field = words_field("word", ("a", "b"), first="b")
    with pytest.raises(ValueError, match="not a valid choice"):
        field.value = "c"
    assert field.value == "b"


def test_a_number_keeps_its_digits_its_bounds_and_its_unit() -> None:
    field = number_field("mpp", 0.4615, 0.02, 25, "µm", label="Scale", tooltip="Size", decimals=4)
    assert field.value == 0.4615
    assert field.native.text() == "0.4615 µm"
    with pytest.raises(ValueError, match="outside of the allowed range"):
        field.value = 26
    assert field.value == 0.4615


@pytest.mark.parametrize("kind", ["predictor", "imputer", "generator"])
def test_the_bundled_models_of_a_kind_are_offered_on_a_fresh_home(kind: str) -> None:
    field = ModelField("model", kind)
    kinds = {name: json.loads((bundled(name) / "card.json").read_text())["kind"] for name in bundled_names()}
    expected = [name for name, one in kinds.items() if one == kind]
    assert expected
    assert texts(field.known) == [*expected, "Another folder"]
    assert field.folder == bundled(expected[0])
    assert field.card is not None
    assert field.card.kind == kind
    assert field.elsewhere.native.isHidden()


def test_the_model_used_last_is_chosen_and_others_of_its_kind_are_offered(own_predictor: Path) -> None:
    remember_model(own_predictor)
    assert ModelField("model", "predictor").folder == own_predictor
    assert str(own_predictor) not in texts(ModelField("model", "imputer").known)


def test_each_model_says_what_it_is_for() -> None:
    field = ModelField("model", "predictor")
    field.value = "her2st-breast"
    said = (
        "Breast tumour (HER2+), Spatial Transcriptomics, spots 200 µm apart. 250 genes from 5 sections of 2 "
    )
    assert field.words.value.startswith(said)
    assert "median r" in field.words.value
    field.known.value = field.known.values[-1]
    assert not field.words.visible or not field.words.value
    field.elsewhere.line_edit.native.setText("olfactory-bulb")
    assert field.folder == bundled("olfactory-bulb")
    assert "mouse olfactory bulb" in field.words.value.lower()


def test_a_model_of_simulated_tissue_is_not_chosen_by_itself(own_predictor: Path) -> None:
    card = own_predictor / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"technology": SIMULATED}))
    remember_model(own_predictor)
    field = ModelField("model", "predictor")
    assert field.folder == bundled("her2st-breast")
    assert f"{own_predictor.name}, in {own_predictor.parent}" in texts(field.known)


def test_a_damaged_card_is_no_model(own_predictor: Path) -> None:
    remember_model(own_predictor)
    (own_predictor / "card.json").write_text("{")
    field = ModelField("model", "predictor")
    assert str(own_predictor) not in texts(field.known)
    field.folder = own_predictor
    assert field.folder == own_predictor
    assert field.card is None


def test_any_folder_can_be_typed_or_picked(own_predictor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    field = ModelField("model", "predictor")
    heard: list[Any] = []
    field.changed.connect(heard.append)
    field.known.value = field.known.values[-1]
    assert not field.elsewhere.native.isHidden()
    field.elsewhere.line_edit.native.setText(f" {own_predictor} ")
    assert field.folder == own_predictor
    assert heard[-1] == own_predictor
    field.known.value = field.known.values[0]
    assert field.elsewhere.native.isHidden()
    monkeypatch.setattr(field.elsewhere, "_show_file_dialog", lambda *_, **__: str(own_predictor))
    field.elsewhere.choose_btn.native.click()
    field.known.value = field.known.values[-1]
    assert field.folder == own_predictor


def test_a_model_is_chosen_by_its_name_its_folder_or_what_else_is_offered(own_predictor: Path) -> None:
    teacher = object()
    field = ModelField("model", "predictor", more=lambda: [("Learn from it", teacher)])
    for value, folder in (
        ("her2st-breast", bundled("her2st-breast")),
        (str(bundled("olfactory-bulb")), bundled("olfactory-bulb")),
        (str(own_predictor), own_predictor),
    ):
        field.value = value
        assert field.folder == folder
    field.value = teacher
    assert field.folder is None
    assert field.value is teacher
    with pytest.raises(ValueError, match="not offered"):
        field.value = object()


def test_sources_are_layers_and_tables_opened_here(
    viewer: Any, make_section: Callable[..., Section], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(viewer, [make_section("A1"), make_section("B1")])
    field = SourceField("source", viewer, label="Source", tooltip="What is read")
    assert is_section(field.source)
    assert field.source.name == "B1"
    frame = pd.DataFrame(
        np.arange(12.0).reshape(3, 4), index=list("xyz"), columns=["EPCAM", "CD3E", "A", "B"]
    )
    frame.to_csv(tmp_path / "bulk.csv")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(tmp_path / "bulk.csv"), ""))
    field.open_button.native.click()
    table = field.source
    assert not is_section(table)
    assert texts(field.choice)[-1] == "bulk (3 samples)"
    viewer.layers.clear()
    field.reset_choices()
    assert field.source is table
    assert field.has(table)
    (tmp_path / "bad.csv").write_text("hello\nworld\n")
    field.open(tmp_path / "bad.csv")
    assert "bad.csv" in notification_manager.records[-1].message
    assert field.source is table
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: ("", ""))
    field.open()
    assert len(field.choice.values) == 1
