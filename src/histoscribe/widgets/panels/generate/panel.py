"""The Generate panel: a primary, normal tissue, a site; hypothetical metastases come back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from histoscribe.errors import HistoscribeError, SettingError
from histoscribe.record import record_of
from histoscribe.widgets.jobs.tasks import TaskBar, tell
from histoscribe.widgets.napari_private.window import added_in_turns, unwrapped
from histoscribe.widgets.panels.generate.choosers import (
    GeneratorChooser,
    ParentChooser,
    refill_names,
    what_is_lacking,
)
from histoscribe.widgets.panels.generate.generation import Generated, GenerateRequest, generate
from histoscribe.widgets.panels.generate.views import ResultTabs, score_layer
from histoscribe.widgets.panels.impute.choosers import ImputerChooser
from histoscribe.widgets.parts.choosers import number_box
from histoscribe.widgets.state.recent import remember_model

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari

    from histoscribe.models import Card

_REFERENCES, _CHOSEN = "The model's references", "A layer or table"
_ANY = "recognise it"
NOTICE = (
    "These profiles are made by a model. They are hypotheses for research: not measured, "
    "not a diagnosis, not a prognosis."
)


class GeneratePanel(QWidget):
    """Generates metastases of a primary and shows how they differ from it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._layer: Layer | None = None
        self._card: Card | None = None
        self.result: Generated | None = None
        self.model = GeneratorChooser()
        self.primary, self.normal = ParentChooser(self._viewer), ParentChooser(self._viewer)
        self.cancer, self.site, self.tissue = QComboBox(), QComboBox(), QComboBox()
        self.tissue.addItems([_REFERENCES, _CHOSEN])
        self.samples, self.seed = number_box(100, 1, 10_000, "", 0), number_box(0, 0, 1e9, "", 0)
        self.restore = QCheckBox("Restore missing genes first")
        self.restore.setToolTip("The imputer fills in the model's genes that the section or table lacks")
        self.imputer = ImputerChooser()
        self.lacking = QLabel()
        self.lacking.setWordWrap(True)
        self.run_button, self.undo_button = QPushButton("Generate"), QPushButton("Undo")
        self.undo_button.setToolTip("Take the generated profiles and the painted score away again")
        self.save_button = QPushButton("Save…")
        self.tasks, self.views = TaskBar(), ResultTabs()
        self._arrange()
        self._connect()
        self._on_model()
        self.reset_choices()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        self.primary.refill()
        self.normal.refill()
        if self._layer is not None and self._layer not in self._viewer.layers:
            self._layer = None
        self._show_what_applies()

    def request(self) -> GenerateRequest:
        """What the panel asks for as it stands.

        Raises
        ------
        HistoscribeError
            If something is missing or does not go together.
        """
        if self.model.card is None:
            raise SettingError("there is no generator", remedy="choose the folder of a trained generator")
        normal = None
        if self.tissue.currentText() == _CHOSEN:
            normal = self.normal.parent_of("normal tissue")
        cancer = self.cancer.currentText()
        return GenerateRequest(
            self.model.folder, self.primary.parent_of("primary"), normal, self.site.currentText(),
            None if cancer == _ANY else cancer, int(self.samples.value()), int(self.seed.value()),
            self.imputer.choice[0] if self.restore.isChecked() else None,
        )  # fmt: skip

    def start(self) -> None:
        """Generate; the result fills the tables and paints a score."""
        try:
            request = self.request()
        except HistoscribeError as error:
            tell(error)
            return
        self.tasks.run(partial(generate, request), self._show_result)

    def undo(self) -> None:
        """Take the last result away."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = self.result = None
        self.views.clear_result()
        self._show_what_applies()

    def save(self, path: Path | None = None) -> None:
        """Write the generated profiles; asks for a file where none is given."""
        from histoscribe.generator.result import write_generated

        if self.result is None:
            return
        if path is None:
            asked = QFileDialog.getSaveFileName(
                self, "Generated profiles", "synthetic.h5ad", "Tables (*.h5ad *.csv)"
            )
            path = Path(asked[0]) if asked[0] else None
        if path is None:
            return
        try:
            write_generated(self.result.table, path)
        except HistoscribeError as error:
            tell(error)

    def _show_result(self, result: Generated) -> Generator[None]:
        """Fill the tables, add the layer of scores: step by step, so that the window answers in between."""
        self.undo()
        remember_model(result.request.model)
        self.result = result
        self.views.show_result(result)
        source = result.request.primary.source
        if result.scores is not None and self.primary.source.has(source):
            yield
            self._layer = yield from added_in_turns(self._viewer, score_layer(result))
            self._layer.face_colorbar.visible = True
        for note in record_of(result.table).notes[-2:]:
            show_info(note[0].upper() + note[1:] + ".")
        self._show_what_applies()

    def _on_model(self, *_: object) -> None:
        self._card = card = self.model.card
        settings = {} if card is None else card.settings
        refill_names(self.cancer, [_ANY, *map(str, settings.get("cancers", ()))])
        refill_names(self.site, list(map(str, settings.get("sites", ()))))
        self._show_what_applies()

    def _show_what_applies(self, *_: object) -> None:
        free = not self.tasks.running
        self._form.setRowVisible(self.normal, self.tissue.currentText() == _CHOSEN)
        self._form.setRowVisible(self.imputer, self.restore.isChecked())
        primary = self.primary.source.source
        there = primary is not None and self.site.count() > 0
        words = what_is_lacking(self._card, primary, self.restore.isChecked())
        self.lacking.setText(words)
        self.lacking.setVisible(bool(words))
        self.run_button.setEnabled(free and there)
        for widget in (self.undo_button, self.save_button, self.views):
            widget.setEnabled(free and self.result is not None)

    def _connect(self) -> None:
        for signal in (self.primary.changed, self.tissue.currentIndexChanged, self.restore.toggled):
            signal.connect(self._show_what_applies)
        self.tasks.running_changed.connect(self._show_what_applies)
        self.model.changed.connect(self._on_model)
        self.run_button.clicked.connect(self.start)
        self.undo_button.clicked.connect(self.undo)
        self.save_button.clicked.connect(lambda: self.save())

    def _arrange(self) -> None:
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows = [("Model", self.model), ("Primary", self.primary), ("Cancer", self.cancer)]
        rows += [("Site", self.site), ("Normal tissue", self.tissue), ("from", self.normal)]
        rows += [
            ("Profiles", self.samples),
            ("Seed", self.seed),
            ("", self.restore),
            ("Imputer", self.imputer),
        ]
        for label, widget in rows:
            self._form.addRow(label, widget)
        notice = QLabel(NOTICE)
        notice.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addWidget(self.lacking)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.undo_button)
        buttons.addWidget(self.save_button)
        layout.addLayout(buttons)
        for widget in (self.tasks, notice):
            layout.addWidget(widget)
        layout.addWidget(self.views, 1)
