"""Small Qt parts that the panels share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Layer, Shapes
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from histoscribe.palette import DRAWN
from histoscribe.widgets.layers.layers import UM
from histoscribe.widgets.layers.regions import classes_in
from histoscribe.widgets.state.recent import recent_models

if TYPE_CHECKING:
    from napari.components import ViewerModel


class LayerCombo(QComboBox):
    """Chooses one layer among those that `wanted` accepts.

    Call `refill` when the layer list has changed; the choice is kept while its layer is there.
    """

    def __init__(self, viewer: ViewerModel, wanted: Callable[[Layer], bool]) -> None:
        super().__init__()
        self._viewer, self._wanted = viewer, wanted
        self._layers: list[Layer] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.refill()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, None where there is nothing to choose."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Layer) -> None:
        """Choose `layer`, if it is offered."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def refill(self) -> None:
        """Offer the layers of now, uppermost first; emits nothing."""
        chosen = self.layer
        self._layers = [layer for layer in reversed(list(self._viewer.layers)) if self._wanted(layer)]
        self.blockSignals(True)
        self.clear()
        self.addItems([layer.name for layer in self._layers])
        if chosen is not None:
            self.choose(chosen)
        self.blockSignals(False)


class RegionChooser(QWidget):
    """Chooses a layer of drawn shapes, or adds one ready to draw a polygon in."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.combo = LayerCombo(viewer, lambda layer: isinstance(layer, Shapes))
        self.only = QComboBox()
        self.only.setToolTip("Only regions of this class")
        self.draw = QPushButton("Draw")
        self.draw.setToolTip("Add a layer and draw a polygon in it; a double click ends it")
        self.draw.clicked.connect(self.add)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo, 1)
        layout.addWidget(self.only)
        layout.addWidget(self.draw)
        self.combo.currentIndexChanged.connect(self.refill)
        self.refill()

    @property
    def name(self) -> str | None:
        """The class to which to keep; None for all regions."""
        return self.only.currentText() if self.only.currentIndex() > 0 else None

    def enterEvent(self, event: QEvent) -> None:
        """The mouse comes: classes may have been drawn or renamed meanwhile."""
        self.refill()
        super().enterEvent(event)

    def refill(self, *_: object) -> None:
        """Offer the layers and classes of now."""
        self.combo.refill()
        chosen = self.only.currentText()
        names = sorted(set(classes_in(self.combo.layer)) - {""}) if self.combo.layer is not None else []
        self.only.clear()
        self.only.addItems(["every class", *names])
        self.only.setCurrentIndex(max(0, self.only.findText(chosen)))
        self.only.setVisible(bool(names))

    def add(self) -> None:
        """Add an empty layer of shapes in µm and start drawing."""
        layer = Shapes(ndim=2, name="region", units=(UM, UM), face_color="transparent")
        layer.current_edge_color, layer.current_edge_width = DRAWN, 8
        self._viewer.add_layer(layer)
        layer.mode = "add_polygon"
        self.combo.refill()
        self.combo.choose(layer)


class ModelChooser(QWidget):
    """A model's folder: typed, picked, or one of those used before."""

    def __init__(self) -> None:
        super().__init__()
        self.combo = QComboBox()
        self.combo.setEditable(True)
        self.combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.combo.lineEdit().setPlaceholderText("folder with card.json")
        self.combo.addItems([str(path) for path in recent_models()])
        self.pick = QPushButton("…")
        self.pick.setFixedWidth(28)
        self.pick.setToolTip("Choose the folder of a trained model")
        self.pick.clicked.connect(self._ask)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo, 1)
        layout.addWidget(self.pick)

    @property
    def folder(self) -> Path:
        """The folder as it stands in the field."""
        return Path(self.combo.currentText().strip()).expanduser()

    @folder.setter
    def folder(self, path: Path) -> None:
        self.combo.setEditText(str(path))

    def _ask(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder of a trained model", str(self.folder))
        if found:
            self.folder = Path(found)


def number_box(value: float, low: float, high: float, suffix: str, decimals: int = 1) -> QDoubleSpinBox:
    """A field for one number with its unit."""
    box = QDoubleSpinBox()
    box.setDecimals(decimals)
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(suffix)
    return box
