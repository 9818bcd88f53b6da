"""The Impute panel: a layer or a table, a model; what is missing, how well it comes back, and it back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import napari
import numpy as np
import pandas as pd
from magicgui.widgets import LineEdit
from napari.utils.notifications import show_info
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from histoscribe.arrays import Wide
from histoscribe.errors import SettingError
from histoscribe.palette import SPOT
from histoscribe.progress import Progress
from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.layers.making import Recipe, made, written
from histoscribe.widgets.layers.maps import class_inks
from histoscribe.widgets.layers.opened import shown_spots
from histoscribe.widgets.layers.painting import paint
from histoscribe.widgets.napari_private.window import undrawn
from histoscribe.widgets.panels.impute import imputation
from histoscribe.widgets.parts.dialogs import save, write_csv
from histoscribe.widgets.parts.fields import ChoiceField, SourceField, class_columns, source_of, tick_field
from histoscribe.widgets.parts.gene_list import GENE_ROLE, GeneListModel, Reliability, gene_view
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, Words, beside
from histoscribe.widgets.parts.plots import DotMap, Dots
from histoscribe.widgets.parts.tables import Column, TableModel, table_view
from histoscribe.widgets.state.preferences import remember_model

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.imputer import Imputer

_SHOWN = 40
_CLASSES = 20
_LATTICE = ("in_tissue", "array_row", "array_col")
_CARRIERS = (
    Column("gene", lambda row: str(row[0]), key=lambda row: row[0], left=True),
    Column("mean weight", lambda row: f"{row[1]:+.4f}", key=lambda row: row[1]),
    Column("mean absolute weight", lambda row: f"{row[2]:.4f}", key=lambda row: row[2]),
)


class CarriersView(QWidget):
    """The observed genes that a restored one came from, strongest first, with a button to write them all."""

    def __init__(self, gene: str, weights: pd.DataFrame) -> None:
        super().__init__(None, Qt.WindowType.Tool)
        self.setWindowTitle(f"What carried {gene}")
        self.weights = weights
        words = Words(
            f"{gene} was restored from these genes. Weights are value times slope in standard deviations, "
            "averaged over samples."
        )
        self.table = TableModel(_CARRIERS)
        self.table.show_rows(list(weights.head(_SHOWN).itertuples()))
        view = table_view(self.table, "The strongest genes")
        view.resizeColumnsToContents()
        self.save_button = QPushButton("Save all as CSV…")
        self.save_button.setToolTip("Every observed gene with its weights")
        self.save_button.clicked.connect(lambda: self.save())
        layout = QVBoxLayout(self)
        for widget in (words, view, self.save_button):
            layout.addWidget(widget)
        self.resize(430, 520)

    def save(self, path: Path | None = None) -> None:
        """Write all weights; asks for a file where none is given."""
        write_csv(self, self.windowTitle(), "carriers.csv", self.weights, path, float_format="%.6g")


class SampleMap(QWidget):
    """Samples by the two leading components of `obsm["summary"]`, coloured by a column of `obs`."""

    def __init__(self, table: AnnData, name: str) -> None:
        super().__init__(None, Qt.WindowType.Tool)
        self.setWindowTitle(f"{name}: the model's summary of each sample")
        self._table = table
        self.places = leading_components(table.obsm["summary"])
        self.colour = QComboBox()
        self.colour.setToolTip("What the samples are coloured by")
        known = table.obs.drop(columns=[*_LATTICE], errors="ignore")
        self.colour.addItems(["one colour", *class_columns(known, _CLASSES)])
        self.map = DotMap("summary, component 1", "summary, component 2")
        layout = QVBoxLayout(self)
        layout.addWidget(self.colour)
        layout.addWidget(self.map, 1)
        self.colour.currentTextChanged.connect(self.draw)
        self.colour.setCurrentIndex(min(1, self.colour.count() - 1))
        self.draw()
        self.resize(640, 560)

    def draw(self, *_: object) -> None:
        """Draw the map in the chosen colours."""
        size = float(np.clip(np.sqrt(4000 / max(len(self.places), 1)), 2, 7))
        column = self.colour.currentText()
        if column not in self._table.obs:
            self.map.show_groups([Dots("", self.places, SPOT, size)])
            return
        kinds = self._table.obs[column].astype(str).to_numpy()
        named = np.unique(kinds)
        groups = zip(named, class_inks(len(named)), strict=True)
        dots = [Dots(str(kind), self.places[kinds == kind], ink, size) for kind, ink in groups]
        self.map.show_groups(dots, column)


def leading_components(summary: NDArray[np.floating]) -> Wide:
    """The two leading principal components, shape (samples, 2); NaN where the summary is."""
    known = np.isfinite(summary).all(1)
    result = np.full((len(summary), 2), np.nan)
    centred = summary[known] - summary[known].mean(0) if known.any() else summary[known]
    if len(centred) > 1:
        left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
        found = (left * strengths)[:, :2]
        result[known, : found.shape[1]] = found
    return result


Done = TypeVar("Done", imputation.Overview, imputation.Restored)
_LISTS = (("Missing, can be restored", "missing"), ("Measured here (r: hidden and restored)", "checked"))


class ImputePanel(Panel):
    """Restores genes that a layer of spots or a table of samples lacks."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._restored: imputation.Restored | None = None
        self._known: tuple[imputation.ImputeRequest, Imputer] | None = None
        self._listed: dict[str, tuple[Sequence[str], Mapping[str, Reliability]]] = {}
        self._checked: tuple[imputation.ImputeRequest, str] | None = None
        self.views: list[QWidget] = []
        meaning = "What lacks genes: a layer of spots, or a table of samples"
        self.source = self.add(SourceField("source", self.viewer, "Data", meaning))
        self.model = self.add(ModelField("model", "imputer", more=self._teachers))
        meaning = "Let a trained model learn from what it is to restore"
        self.tune = self.add(
            tick_field("tune", "Tune the model on it first (slower)", meaning),
            enabled=lambda: self.model.folder is not None,
        )
        meaning = "Which genes are missing, and how well the model restores hidden ones here"
        self.check_button = self.button("Check", meaning, self.check, enabled=self._ready)
        meaning = "Restore the missing genes; the result is a new layer, or a table to save"
        undo = "Take the restored genes away again"
        self.add_run("Restore", meaning, self.check_button, ready=self._ready, undo=undo)
        self.words = self.add(Words("Check says which genes are missing and how well they can be restored."))
        self.which = self.add(ChoiceField("which", lambda: _LISTS, "List", "Which genes are listed"))
        self.search = self.add(LineEdit(name="search", label="Search", tooltip="A part of a gene's name"))
        self.search.native.setPlaceholderText("Search a gene")
        self.search.native.setClearButtonEnabled(True)
        self.genes = GeneListModel()
        self.list = self.add(gene_view(self.genes, "What can be restored here, and how well"), stretch=1)
        self.list.setMinimumHeight(120)
        self._add_results()
        self.source.choice.changed.connect(self.model.reset_choices)
        self.which.changed.connect(self._fill)
        self.search.changed.connect(self.genes.search)
        self.list.selectionModel().currentChanged.connect(self.refresh)
        self.finish(stretch=False)

    @property
    def marked(self) -> str:
        """The gene that is chosen in the list; empty where none is."""
        return self.list.currentIndex().data(GENE_ROLE) or ""

    @property
    def undoable(self) -> bool:
        """Whether something was restored: a layer, or a table that has none."""
        return self._restored is not None

    def request(self) -> imputation.ImputeRequest:
        """What the panel asks for as it stands; `SettingError` if there is nothing to restore."""
        source = self.source.source
        if source is None:
            raise SettingError("there is nothing to restore", remedy="open a section or a table first")
        model = self.model.folder
        teacher = None if model is not None else source_of(self.model.value)
        return imputation.ImputeRequest(source, model, teacher, bool(self.tune.value) and model is not None)

    def check(self) -> None:
        """Look which genes are missing and how well the model does here."""
        self.launch(self.request, self._with_imputer(imputation.look), self._show_overview)

    def start(self) -> None:
        """Restore; the result becomes a layer, or a table to save."""
        self.launch(self.request, self._with_imputer(imputation.restore), self._show_restored)

    def forget(self) -> None:
        """Drop what was restored."""
        self._restored = None

    def explain(self) -> None:
        """Trace which observed genes carried the marked one."""
        gene, restored = self.marked, self._restored
        if restored is not None and gene:
            self.launch(
                lambda: (restored, gene),
                imputation.carriers,
                lambda _, found: self._open(CarriersView(gene, found)),
            )

    def show_map(self) -> None:
        """Draw the summary of each sample."""
        if self._restored is not None:
            self._open(SampleMap(self._restored.table, self._restored.request.source.name))

    def save(self, path: Path | None = None) -> None:
        """Write the restored table; asks for a file where none is given."""
        if self._restored is not None:
            write, kinds = partial(imputation.write, self._restored), imputation.TABLES
            if file := save(self, "Restored table", "restored.h5ad", kinds, path, write):
                EDITED.difference_update(() if self.added is None else (self.added,))
                written(self.viewer, file, self._restored)

    def _ready(self) -> bool:
        return self.free and self.source.source is not None

    def _teachers(self) -> list[tuple[str, object]]:
        return [(f"Learn from {name}", value) for name, value in self.source.offer()]

    def _with_imputer(
        self, job: Callable[[imputation.ImputeRequest, Imputer | None, Progress], Done]
    ) -> Callable[[imputation.ImputeRequest, Progress], Done]:
        """A job with the imputer of the last one, where it is asked for the same."""

        def run(request: imputation.ImputeRequest, progress: Progress) -> Done:
            known = self._known
            same = known is not None and known[0].wants_the_imputer_of(request)
            done = job(request, known[1] if known is not None and same else None, progress)
            self._known = request, done.imputer
            return done

        return run

    def _show_overview(self, request: imputation.ImputeRequest, overview: imputation.Overview) -> None:
        best = sorted(overview.checked, key=lambda gene: -overview.checked[gene].r)
        self._listed = {"missing": (overview.missing, {}), "checked": (best, overview.checked)}
        self._checked = request, overview.words
        self.words.setText(overview.words)
        self._fill()

    def _show_restored(
        self, request: imputation.ImputeRequest, restored: imputation.Restored
    ) -> Generator[None]:
        """List the genes, add the layer, paint it: step by step, so that the window answers in between."""
        if request.model is not None:
            remember_model(request.model)
        self.undo()
        self._restored = restored
        teacher = {} if request.teacher is None else {"teacher": request.teacher}
        models = {} if request.model is None else {"tuned" if request.tune else "model": request.model}
        step = Recipe("impute", {"source": request.source, **teacher}, models)
        made(self.viewer, restored, step, *([restored.section] if restored.section else []))
        self._listed["missing"] = restored.genes, restored.scores
        of_here = self._checked is not None and self._checked[0].source is request.source
        if not (self._checked and of_here and self._checked[0].wants_the_imputer_of(request)):
            self._checked = None
            self._listed.pop("checked", None)
        checked = f" The check before: {self._checked[1]}" if self._checked else " Check says how well."
        self.words.setText(restored.words + checked)
        self.which.value = "missing"
        self._fill()
        self.list.setCurrentIndex(self.genes.row_of(restored.genes[0]))
        if restored.section is None:
            show_info(f"{len(restored.genes):,} genes were restored; save the table to keep them.")
        elif not self.source.has(request.source):
            self._restored = None
            show_info("The layer was removed meanwhile; what was restored is discarded.")
        else:
            yield
            data, described, kind = shown_spots(restored.section)
            described["name"] = f"{restored.section.name} restored"
            with undrawn(self.viewer):
                yield from self.show_layer((data, described, kind))
                yield
                if self.marked:
                    self.state.gene = self.marked
                paint(self.viewer, self.state)
                yield

    def _open(self, view: QWidget) -> None:
        view.setParent(self, view.windowFlags())
        self.views.append(view)
        view.show()

    def _fill(self, *_: object) -> None:
        self.genes.set_genes(*self._listed.get(self.which.value, ((), {})))
        self.refresh()

    def _add_results(self) -> None:
        meaning = "The observed genes that the marked gene was restored from"
        self.carried_button = self.button(
            "What carried it",
            meaning,
            self.explain,
            enabled=lambda: self.free and self.undoable and bool(self.marked),
        )
        meaning = "The model's summary of each sample or spot, coloured by class"
        self.map_button = self.button("Map of samples", meaning, self.show_map, enabled=self._has_result)
        meaning = "The restored table as h5ad, CSV or TSV"
        self.save_button = self.button("Save…", meaning, self.save, enabled=self._has_result)
        self.add(beside(self.carried_button, self.map_button, self.save_button))

    def _has_result(self) -> bool:
        return self.free and self.undoable
