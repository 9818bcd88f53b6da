"""The Slide panel: what a slide is, its scale, its label and macro image, its colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from histoscribe.errors import HistoscribeError
from histoscribe.widgets.jobs.tasks import tell
from histoscribe.widgets.layers.layers import LevelForNapari, section_of, slide_layer, slide_of
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.parts.choosers import LayerCombo, number_box

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from histoscribe.slide import Slide

_PICTURE = 260  # pixels on screen
_MANAGED = "srgb"  # in a layer's metadata: whether it is shown by the scanner's profile


class SlidePanel(QWidget):
    """Shows the properties of a slide layer and changes its scale and colours.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self.layer = LayerCombo(self._viewer, lambda layer: slide_of(layer) is not None)
        self.facts = QLabel()
        self.doubts = QLabel()
        for label in (self.facts, self.doubts):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.mpp = number_box(0.5, 0.02, 25.0, " µm per pixel", decimals=4)
        self.apply_button = QPushButton("Set")
        self.apply_button.setToolTip("Scale the layer by this many µm per full-resolution pixel")
        self.managed = QCheckBox("Colours by the scanner's profile (sRGB)")
        self.which = QComboBox()
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._arrange()
        self.layer.currentIndexChanged.connect(self._show)
        self.apply_button.clicked.connect(self.set_mpp)
        self.managed.clicked.connect(self.manage_colours)
        self.which.currentTextChanged.connect(self._show_picture)
        self._viewer.layers.selection.events.active.connect(self._follow)
        self._follow()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        before = self.layer.layer
        self.layer.refill()
        if self.layer.layer is not before:
            self._show()

    def set_mpp(self) -> None:
        """Give the slide the µm per pixel of the box and scale its layer by them."""
        chosen = self.layer.layer
        if chosen is None:
            return
        self._replace(chosen, slide_of(chosen).with_mpp(self.mpp.value()))

    def manage_colours(self, wanted: bool) -> None:
        """Apply the slide's ICC profile to its layer, or show the colours of the file again."""
        from histoscribe.slide.colour import in_srgb

        chosen = self.layer.layer
        if chosen is None:
            return
        slide = slide_of(chosen)
        try:
            shown = in_srgb(slide) if wanted else slide
        except HistoscribeError as error:
            self.managed.setChecked(False)
            tell(error)
            return
        chosen.metadata[_MANAGED] = wanted
        levels = [LevelForNapari(level.pixels) for level in shown.levels]
        chosen.data = levels if chosen.multiscale else levels[0]

    def _replace(self, layer: Layer, slide: Slide) -> None:
        described = slide_layer(slide)[1]
        layer.metadata["slide"] = slide
        layer.scale, layer.translate, layer.units = (
            described[key] for key in ("scale", "translate", "units")
        )
        if slide.name in layer.name:
            layer.name = described["name"]
        self._show()

    def _follow(self, event: object = None) -> None:
        active = self._viewer.layers.selection.active
        self.layer.refill()
        if active is not None:
            self.layer.choose(active)
        self._show()

    def _show(self, event: object = None) -> None:
        chosen = self.layer.layer
        slide = None if chosen is None else slide_of(chosen)
        for part in (self.mpp, self.apply_button, self.managed, self.which):
            part.setEnabled(slide is not None)
        if slide is None:
            self.facts.setText("Open a slide to see what it is.")
            self.doubts.clear()
            self.which.clear()
            self.picture.clear()
            return
        self.facts.setText("\n".join(described(slide)))
        self.doubts.setText("\n".join(f"Mind: {doubt}" for doubt in slide.warnings))
        self.doubts.setVisible(bool(slide.warnings))
        if slide.mpp is not None:
            self.mpp.setValue(slide.mpp)
        sections = filter(None, map(section_of, self._viewer.layers))
        beneath = any(one.slide is not None and one.slide.levels is slide.levels for one in sections)
        self.mpp.setEnabled(not beneath)  # the scale of a section is that of its spots
        self.apply_button.setEnabled(not beneath)
        self.managed.setEnabled(slide.profile is not None)
        self.managed.setChecked(bool(chosen.metadata.get(_MANAGED)))
        names = sorted(slide.associated)
        if [self.which.itemText(n) for n in range(self.which.count())] != names:
            self.which.clear()
            self.which.addItems(names)
        self.which.setVisible(bool(names))
        self._show_picture(self.which.currentText())

    def _show_picture(self, name: str) -> None:
        chosen = self.layer.layer
        slide = None if chosen is None else slide_of(chosen)
        if slide is None or name not in slide.associated:
            self.picture.clear()
            return
        try:
            self.picture.setPixmap(_pixmap(slide.associated[name]()))
        except HistoscribeError as error:
            self.picture.setText(error.problem)

    def _arrange(self) -> None:
        form = QFormLayout()
        form.addRow("Slide", self.layer)
        form.addRow(self.facts)
        form.addRow(self.doubts)
        scale = QHBoxLayout()
        scale.addWidget(self.mpp, 1)
        scale.addWidget(self.apply_button)
        form.addRow("Scale", scale)
        form.addRow(self.managed)
        form.addRow("Beside it", self.which)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.picture)
        layout.addStretch(1)


def described(slide: Slide) -> list[str]:
    """What a slide is, a line a fact."""
    rows, columns = slide.shape
    lines = [slide.source, f"{columns:,} × {rows:,} pixels, {len(slide.levels)} levels"]
    if slide.mpp is not None:
        width, height = (side * slide.mpp / 1000 for side in (columns, rows))
        lines.append(f"{width:.2f} × {height:.2f} mm, {slide.mpp:.4g} µm per pixel")
    if slide.objective:
        lines.append(f"objective {slide.objective:g}x")
    if slide.vendor:
        lines.append(slide.vendor)
    return lines


def _pixmap(pixels: NDArray[np.uint8]) -> Any:
    rows, columns = pixels.shape[:2]
    image = QImage(np.ascontiguousarray(pixels).data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
    kept = Qt.AspectRatioMode.KeepAspectRatio
    return QPixmap.fromImage(image).scaled(
        _PICTURE, _PICTURE, kept, Qt.TransformationMode.SmoothTransformation
    )
