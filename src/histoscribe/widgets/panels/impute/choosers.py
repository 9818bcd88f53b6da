"""What the Impute panel chooses from: layers and opened tables, bundled and own models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from histoscribe.errors import HistoscribeError
from histoscribe.record import record_of
from histoscribe.widgets.jobs.tasks import tell
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.state.recent import recent_models

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from histoscribe.bulk import BulkTable
    from histoscribe.widgets.panels.impute.imputation import Source

_TABLES = "Tables (*.csv *.tsv *.txt *.gct *.h5ad *.gz)"


class SourceChooser(QWidget):
    """A layer of spots, or a table of samples that was opened here."""

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._tables: list[BulkTable] = []
        self.sources: list[tuple[str, Source]] = []
        self.combo = _combo()
        self.combo.currentIndexChanged.connect(self.changed)
        self.open_button = QPushButton("Open table…")
        self.open_button.setToolTip("Samples by genes: CSV, TSV, GCT or h5ad, plain or gzipped")
        self.open_button.clicked.connect(lambda: self.open())
        _beside(self, self.combo, self.open_button)

    @property
    def source(self) -> Source | None:
        """The chosen section or table."""
        place = self.combo.currentIndex()
        return self.sources[place][1] if 0 <= place < len(self.sources) else None

    def has(self, source: Source) -> bool:
        """Whether it is still offered."""
        return any(one is source for _, one in self.sources)

    def open(self, path: Path | None = None) -> None:
        """Open a table and choose it; asks for a file where none is given."""
        from histoscribe.bulk import read_table
        from histoscribe.bulk.samples import file_beside, with_samples

        if path is None:
            asked, _ = QFileDialog.getOpenFileName(self, "A table of samples and genes", "", _TABLES)
            if not asked:
                return
            path = Path(asked)
        try:
            table = with_samples(read_table(path), file_beside(path))
        except HistoscribeError as error:
            tell(error)
            return
        self._tables.append(table)
        self.refill()
        self.combo.setCurrentIndex(len(self.sources) - 1)
        self.changed.emit()

    def refill(self) -> None:
        """Offer the layers of now, uppermost first, then the tables; keeps the choice, emits nothing."""
        chosen = self.source
        layers = [(layer.name, section_of(layer)) for layer in reversed(spot_layers(self._viewer))]
        layers = [(name, one) for name, one in layers if not _is_restored(one)]
        tables = [(f"{one.name} ({one.table.n_obs:,} samples)", one) for one in self._tables]
        self.sources = [*layers, *tables]
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems([name for name, _ in self.sources])
        place = next((place for place, (_, one) in enumerate(self.sources) if one is chosen), 0)
        self.combo.setCurrentIndex(place if self.sources else -1)
        self.combo.blockSignals(False)


class ImputerChooser(QWidget):
    """A bundled model, one used before, one picked, or a layer to learn from."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._picked: list[Path] = []
        self._choices: list[tuple[Path | None, Source | None]] = []
        self.combo = _combo()
        self.combo.currentIndexChanged.connect(self.changed)
        self.pick = QPushButton("…")
        self.pick.setFixedWidth(28)
        self.pick.setToolTip("Choose the folder of a trained imputer")
        self.pick.clicked.connect(self._ask)
        _beside(self, self.combo, self.pick)
        self.refill([])

    @property
    def choice(self) -> tuple[Path | None, Source | None]:
        """A model's folder, or what to learn from."""
        place = self.combo.currentIndex()
        return self._choices[place] if 0 <= place < len(self._choices) else (None, None)

    def choose(self, folder: Path) -> None:
        """Offer a folder and choose it."""
        self._picked.append(folder)
        self._fill(self._teachers, (folder, None))
        self.changed.emit()

    def refill(self, teachers: Sequence[tuple[str, Source]]) -> None:
        """Offer the models of now and these layers and tables to learn from; emits nothing."""
        self._fill(teachers, self.choice)

    def _fill(
        self, teachers: Sequence[tuple[str, Source]], chosen: tuple[Path | None, Source | None]
    ) -> None:
        from histoscribe.models import bundled, bundled_names

        self._teachers = list(teachers)
        own = dict.fromkeys([*self._picked, *filter(_is_imputer, recent_models())])
        ready = [(name, bundled(name)) for name in bundled_names() if name.startswith("imputer")]
        models = [*ready, *((str(path), path) for path in own if path not in dict(ready).values())]
        offered: list[tuple[str, Any]] = [(name, (path, None)) for name, path in models]
        offered += [(f"Learn from {name}", (None, source)) for name, source in teachers]
        self._choices = [choice for _, choice in offered]
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems([name for name, _ in offered])
        same = [
            place for place, one in enumerate(self._choices) if one[0] == chosen[0] and one[1] is chosen[1]
        ]
        self.combo.setCurrentIndex(same[0] if same else (0 if offered else -1))
        self.combo.blockSignals(False)

    def _ask(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder of a trained imputer")
        if found:
            self.choose(Path(found))


def _is_imputer(folder: Path) -> bool:
    from histoscribe.models import read_card

    try:
        return read_card(folder).kind == "imputer"
    except HistoscribeError:
        return False


def _is_restored(section: Any) -> bool:
    return record_of(section.table).kind == "restored"


def _combo() -> QComboBox:
    combo = QComboBox()
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def _beside(holder: QWidget, *widgets: QWidget) -> None:
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(widgets[0], 1)
    for widget in widgets[1:]:
        layout.addWidget(widget)
