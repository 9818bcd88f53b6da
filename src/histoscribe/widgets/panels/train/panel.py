"""The Train panel: measured sections or a cohort CSV; a predictor comes back, in every chooser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import napari
from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit, LineEdit, SpinBox
from qtpy.QtCore import QItemSelectionModel, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView

from histoscribe.errors import SettingError
from histoscribe.models import Card
from histoscribe.section import Section
from histoscribe.widgets.layers.making import Training, trained
from histoscribe.widgets.layers.painting import measured_in
from histoscribe.widgets.panels.train.training import held_out_words, kept_state, train
from histoscribe.widgets.parts.fields import ChoiceField, words_field
from histoscribe.widgets.parts.models import card_words
from histoscribe.widgets.parts.panel import Panel, Words
from histoscribe.widgets.parts.tables import Column, TableModel, table_view
from histoscribe.widgets.state.preferences import models_folder, preferences, remember_model

EFFORTS: Mapping[str, dict[str, Any]] = {"Usual": {}, "Quick, to try it out": {"epochs": 10, "members": 1}}
"""How long is trained, in words, and the settings that it stands for."""
_OPEN, _COHORT = "open", "cohort"
_STOPPED = (
    " A training of this name was stopped: with the same sections and settings it goes on where it was."
)


class TrainPanel(Panel):
    """Trains a predictor on sections that are open, or on a cohort; `heard` tells what was held out."""

    heard = Signal(str)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._sections: list[Section] = []
        self._patients: dict[str, str] = {}
        self._began = 0.0
        meaning = "Measured sections of this window, or a CSV that names many; a CSV can be dropped here"
        sources = (("Sections that are open", _OPEN), ("A cohort CSV", _COHORT))
        self.source = self.add(ChoiceField("source", lambda: sources, "Learn from", meaning))
        meaning = "Columns: section, patient, path, and for count tables positions and slide"
        self.cohort = self.add(
            FileEdit(
                mode=FileDialogMode.EXISTING_FILE,
                name="cohort",
                label="Cohort",
                tooltip=meaning,
                filter="*.csv",
                nullable=True,
            ),
            visible=lambda: self.source.value == _COHORT,
        )
        self.cohort.choose_btn.text, self.cohort.choose_btn.tooltip = "…", "Choose the CSV"
        meaning = "Marked rows are learned from; double-click a patient to say whose tissue it is"
        self.table = TableModel(
            (
                Column("section", lambda one: str(one.name), left=True),
                Column("patient", self._patient, meaning, edit=self._rename, left=True),
                Column("spots", lambda one: f"{one.table.n_obs:,}"),
            )
        )
        self.list = self.add(table_view(self.table, meaning), visible=lambda: self.source.value == _OPEN)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.MultiSelection)
        self.list.setMinimumHeight(110)
        self.list.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.split = self.add(Words())
        meaning = "Of the model; a model of this name is replaced"
        self.name = self.add(LineEdit(name="name", value="my-model", label="Name", tooltip=meaning))
        meaning = "For the card: of what organ and disease it learns"
        self.tissue = self.add(LineEdit(name="tissue", label="Tissue", tooltip=meaning))
        meaning = "For the card: Visium, Visium HD, Xenium …"
        self.technology = self.add(LineEdit(name="technology", label="Measured by", tooltip=meaning))
        meaning = "The most variable genes of the training sections are predicted"
        self.genes = self.add(
            SpinBox(name="genes", value=250, min=1, max=5000, label="Genes", tooltip=meaning)
        )
        meaning = "How long is trained; a quick model predicts worse"
        self.effort = self.add(words_field("effort", EFFORTS, "Effort", meaning))
        meaning = "Remove what the training that was stopped has kept"
        drop = self.button("Discard", meaning, self.discard)
        self.rule(drop, visible=self._is_stopped)
        meaning = "Learn from these sections; the model is then offered everywhere"
        self.add_run("Train", meaning, drop, ready=self._ready)
        self.words = self.add(Words())
        self.heard.connect(self._on_heard)
        self.list.selectionModel().selectionChanged.connect(self.refresh)
        self.setAcceptDrops(True)
        self.finish()

    @property
    def marked(self) -> list[Section]:
        """The open sections to learn from."""
        rows = sorted(index.row() for index in self.list.selectionModel().selectedRows())
        return [self._sections[row] for row in rows]

    @property
    def _csv(self) -> Path:
        return Path(self.cohort.line_edit.value.strip()).expanduser()

    def request(self) -> Training:
        """What the panel asks for as it stands; `HistoscribeError` if something is missing."""
        name = self.name.value.strip()
        if not name or Path(name).name != name:
            raise SettingError("the model needs a name without slashes", remedy="give it a short name")
        of_cohort = self.source.value == _COHORT
        folder = models_folder() / name
        if folder.exists() and not (folder / "card.json").exists():
            raise SettingError("something else lies here", where=folder, remedy="give another name")
        if not (of_cohort or self.marked):
            raise SettingError("there is nothing to learn from", remedy="mark measured sections in the list")
        settings = {"panel_size": self.genes.value, "device": preferences().device}
        return Training(
            folder,
            {} if of_cohort else {one: self._patient(one) for one in self.marked},
            self._csv if of_cohort else None,
            settings | EFFORTS[self.effort.value],
            {"tissue": self.tissue.value.strip(), "technology": self.technology.value.strip()},
        )

    def discard(self) -> None:
        """Remove the state of the training of this name that was stopped."""
        shutil.rmtree(self._kept_state(), ignore_errors=True)
        self.refresh()

    def start(self) -> None:
        """Train, or go on where it was stopped; the sentences about what was held out come while it runs."""
        self.words.setText("")
        self._began = time.monotonic()
        self.launch(self.request, partial(train, self.heard.emit), self._done)

    def kept(self) -> dict[str, Any]:
        """What a session keeps: whose tissue each section was said to be."""
        return {"patients": dict(self._patients)}

    def take_back(self, kept: dict[str, Any]) -> None:
        """Set the patients of a session again."""
        self._patients = {str(name): str(one) for name, one in dict(kept.get("patients", {})).items()}
        self.refresh()

    def reset_choices(self, event: object = None) -> None:
        """List the measured sections of now, new ones marked."""
        super().reset_choices(event)
        found = measured_in(self.viewer)
        if found != self._sections:
            left_out = {id(one) for one in self._sections} - {id(one) for one in self.marked}
            self._sections = found
            self.table.show_rows(found)
            how = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
            for row, one in enumerate(found):
                if id(one) not in left_out:
                    self.list.selectionModel().select(self.table.index(row), how)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Say what will be held out, and ask every rule again."""
        marked = self.marked
        patients = {self._patient(one) for one in marked}
        unknown = sum(self._patient(one) == one.name for one in marked)
        stopped = self._is_stopped()
        self.run_button.setText("Resume" if stopped else "Train")
        scores = (
            "Scores: patients are held out in turn where there are three, else sections."
            if self.source.value == _COHORT
            else held_out_words(len(patients), len(marked), unknown)
            if marked
            else "Open measured sections with their H&E, or choose a cohort CSV."
        )
        self.split.setText(scores + _STOPPED * stopped)
        super().refresh()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A CSV can be dropped."""
        if _dropped(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Learn from a CSV that was dropped."""
        path = _dropped(event)
        if path is not None:
            self.source.value, self.cohort.value = _COHORT, path
            event.acceptProposedAction()

    def _kept_state(self) -> Path:
        return kept_state(models_folder() / (Path(self.name.value.strip()).name or "-"))

    def _is_stopped(self) -> bool:
        return self.free and self._kept_state().is_dir()

    def _ready(self) -> bool:
        return bool(self.marked) if self.source.value == _OPEN else self._csv.suffix == ".csv"

    def _patient(self, section: Section) -> str:
        return self._patients.get(section.name, section.patient) or section.name

    def _rename(self, section: Section, words: str) -> None:
        self._patients[section.name] = words.strip()
        self.refresh()

    def _on_heard(self, words: str) -> None:
        said = f"{words[0].upper()}{words[1:]}."
        self.words.setText("\n".join(part for part in (self.words.text(), said) if part))
        self.refresh()

    def _done(self, request: Training, card: Card) -> None:
        remember_model(request.folder)
        trained(self.viewer, request)
        self.state.trained = self._began, str(request.folder)
        self._on_heard(f"done. {card_words(card)} Predict offers it as {request.folder.name}")


def _dropped(event: QDropEvent) -> Path | None:
    urls = event.mimeData().urls()
    path = Path(urls[0].toLocalFile()) if len(urls) == 1 else Path()
    return path if path.suffix.lower() == ".csv" else None
