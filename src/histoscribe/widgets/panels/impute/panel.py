"""The Impute panel: a layer or a table, a model; what is missing, how well it comes back, and it back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from histoscribe.errors import HistoscribeError, SettingError
from histoscribe.widgets.jobs.tasks import TaskBar, tell
from histoscribe.widgets.layers.opened import shown_spots
from histoscribe.widgets.layers.painting import paint
from histoscribe.widgets.napari_private.window import added_in_turns, undrawn, unwrapped
from histoscribe.widgets.panels.impute.choosers import ImputerChooser, SourceChooser
from histoscribe.widgets.panels.impute.gene_list import MissingGenes
from histoscribe.widgets.panels.impute.imputation import ImputeRequest, Overview, Restored, look, restore
from histoscribe.widgets.panels.impute.results import ResultButtons
from histoscribe.widgets.state.recent import remember_model
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari

    from histoscribe.imputer import Imputer
    from histoscribe.progress import Progress


class ImputePanel(QWidget):
    """Restores genes that a layer of spots or a table of samples lacks.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._layer: Layer | None = None
        self._restored: Restored | None = None
        self._known: tuple[ImputeRequest, Imputer] | None = None
        self.source = SourceChooser(self._viewer)
        self.model = ImputerChooser()
        self.tune = QCheckBox("Tune the model on it first (slower)")
        self.check_button = QPushButton("Check")
        self.check_button.setToolTip(
            "Which genes are missing, and how well the model restores hidden ones here"
        )
        self.run_button = QPushButton("Restore")
        self.undo_button = QPushButton("Undo")
        self.undo_button.setToolTip("Take the restored genes away again")
        self.tasks = TaskBar()
        self.genes = MissingGenes()
        self.results = ResultButtons(self.genes, self.tasks)
        self._arrange()
        self._connect()
        self.reset_choices()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        self.source.refill()
        self.model.refill(self.source.sources)
        if self._layer is not None and self._layer not in self._viewer.layers:
            self._layer = None
        self._show_what_applies()

    def request(self) -> ImputeRequest:
        """What the panel asks for as it stands.

        Raises
        ------
        SettingError
            If there is nothing to restore, or no model.
        """
        source = self.source.source
        if source is None:
            raise SettingError("there is nothing to restore", remedy="open a section or a table first")
        model, teacher = self.model.choice
        return ImputeRequest(source, model, teacher, self.tune.isChecked() and model is not None)

    def check(self) -> None:
        """Look which genes are missing and how well the model does here."""
        self._start(look, self._show_overview)

    def start(self) -> None:
        """Restore; the result becomes a layer, or a table to save."""
        self._start(restore, self._show_restored)

    def undo(self) -> None:
        """Take the last restored genes away."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = self._restored = None
        self._show_what_applies()

    def _start(self, job, apply) -> None:
        try:
            request = self.request()
        except HistoscribeError as error:
            tell(error)
            return
        self.tasks.run(partial(self._with_imputer, job, request), apply)

    def _with_imputer(self, job, request: ImputeRequest, progress: Progress) -> Overview | Restored:
        """Run a job with the imputer of the last one, where it was asked for the same."""
        known = self._known
        same = known is not None and known[0].wants_the_imputer_of(request)
        done = job(request, known[1] if same else None, progress)
        self._known = request, done.imputer
        return done

    def _show_overview(self, overview: Overview) -> None:
        self.genes.show_overview(overview)
        self._show_what_applies()

    def _show_restored(self, restored: Restored) -> Generator[None]:
        """List the genes, add the layer, paint it: step by step, so that the window answers in between."""
        if restored.request.model is not None:
            remember_model(restored.request.model)
        self.undo()
        self._restored = restored
        count = int((restored.table.var["restored"] > 0).sum())
        self.genes.show_restored(restored)
        if restored.section is None:
            show_info(f"{count:,} genes were restored; save the table to keep them.")
        elif not self.source.has(restored.request.source):
            self._restored = None
            show_info("The layer was removed meanwhile; what was restored is discarded.")
        else:
            yield
            data, described, kind = shown_spots(restored.section)
            described["name"] = f"{restored.section.name} restored"
            with undrawn(self._viewer):
                self._layer = yield from added_in_turns(self._viewer, (data, described, kind))
                yield
                if self.genes.marked:
                    state_of(self._viewer).gene = self.genes.marked
                paint(self._viewer, state_of(self._viewer))
                yield
        self._show_what_applies()

    def _show_what_applies(self, *_: object) -> None:
        free, there = not self.tasks.running, self.source.source is not None
        self.tune.setEnabled(self.model.choice[0] is not None)
        for button in (self.check_button, self.run_button):
            button.setEnabled(free and there)
        self.undo_button.setEnabled(free and self._restored is not None)
        self.results.show_what_applies(self._restored)

    def _connect(self) -> None:
        self.source.changed.connect(self.reset_choices)
        self.model.changed.connect(self._show_what_applies)
        self.check_button.clicked.connect(self.check)
        self.run_button.clicked.connect(self.start)
        self.undo_button.clicked.connect(self.undo)
        self.genes.marked_changed.connect(self._show_what_applies)
        self.tasks.running_changed.connect(self._show_what_applies)

    def _arrange(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Layer or table", self.source)
        form.addRow("Model", self.model)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.tune)
        buttons = QHBoxLayout()
        for button in (self.check_button, self.run_button, self.undo_button):
            buttons.addWidget(button)
        layout.addLayout(buttons)
        for widget in (self.tasks, self.genes, self.results):
            layout.addWidget(widget)
