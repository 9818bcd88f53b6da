"""The Slide panel: what a slide is, its scale, its label and macro image, its colours."""

from __future__ import annotations

import napari
import numpy as np
from magicgui.widgets import PushButton
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QLabel

from histoscribe.errors import HistoscribeError
from histoscribe.palette import DRAWN
from histoscribe.slide import Slide
from histoscribe.slide.colour import in_srgb
from histoscribe.widgets.jobs.tasks import quietly, tell
from histoscribe.widgets.layers.layers import LevelForNapari, affine_of, slide_of
from histoscribe.widgets.layers.painting import stands_alone
from histoscribe.widgets.layers.rescaling import set_mpp
from histoscribe.widgets.parts.fields import ChoiceField, FieldRow, LayerField, number_field, tick_field
from histoscribe.widgets.parts.panel import Panel, Words
from histoscribe.widgets.parts.plots import pixmap_of

_PICTURE = 260  # pixels on screen
_MANAGED = "srgb"  # in a layer's metadata: whether it is shown by the scanner's profile
_SIDE = 220  # pixels on screen
_MOST_PIXELS = 30_000_000


class SlidePanel(Panel):
    """Shows the properties of a slide layer and changes its scale and colours."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.layer = self.add(
            LayerField(
                "layer",
                self.viewer,
                lambda layer: slide_of(layer) is not None,
                "Slide",
                "The slide that is described; the one chosen in the layer list",
            )
        )
        self.overview = self.add(SlideMap(self.viewer), visible=lambda: self._slide is not None)
        self.facts = self.add(Words())
        self.doubts = self.add(Words())
        meaning = "µm per full-resolution pixel; the scale of a section is that of its spots"
        self.mpp = number_field("mpp", 0.5, 0.02, 25, "µm per pixel", label="", tooltip=meaning, decimals=4)
        meaning = "Scale the slide and all that lies on it by this many µm per full-resolution pixel"
        self.apply_button = PushButton(text="Set", tooltip=meaning)
        self.add(FieldRow("Scale", self.mpp, self.apply_button), enabled=self._is_alone)
        meaning = "Show the colours that the scanner meant, by the profile in the file"
        self.managed = self.add(
            tick_field("managed", "Colours by the scanner's profile (sRGB)", meaning),
            enabled=lambda: self._slide is not None and self._slide.profile is not None,
        )
        meaning = "Pictures that the scanner put beside the slide"
        self.which = self.add(
            ChoiceField("which", self._pictures, "Beside it", meaning),
            visible=lambda: bool(self.which.values),
        )
        self.picture = self.add(QLabel())
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.layer.changed.connect(self._show)
        self.apply_button.changed.connect(self.set_mpp)
        self.managed.changed.connect(self.manage_colours)
        self.which.changed.connect(self._show_picture)
        self.hear(self.viewer.layers.selection.events.active, self._follow)
        for event in (self.viewer.scene.camera.events.center, self.viewer.scene.camera.events.zoom):
            self.hear(event, self.overview.follow)
        self.finish()
        self._follow()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        before = self.layer.value
        super().reset_choices()
        if self.layer.value is not before:
            self._show()

    def set_mpp(self, *_: object) -> None:
        """Give the slide the µm per pixel of the box and rescale all that lies on it."""
        slide = self._slide
        if slide is None:
            return
        set_mpp(self.viewer, slide, self.mpp.value)
        self._show()

    def manage_colours(self, wanted: bool) -> None:
        """Apply the slide's ICC profile to its layer, or show the colours of the file again."""
        layer, slide = self.layer.value, self._slide
        if slide is None or bool(layer.metadata.get(_MANAGED)) == wanted:
            return
        try:
            shown = in_srgb(slide) if wanted else slide
        except HistoscribeError as error:
            self.managed.value = False
            tell(error)
            return
        layer.metadata[_MANAGED] = wanted
        levels = [LevelForNapari(level.pixels) for level in shown.levels]
        layer.data = levels if layer.multiscale else levels[0]

    @property
    def _slide(self) -> Slide | None:
        return slide_of(self.layer.value)

    def _is_alone(self) -> bool:
        """Whether there is a slide whose scale is its own, and not that of a measured section's spots."""
        return self._slide is not None and stands_alone(self.viewer, self._slide)

    def _pictures(self) -> list[str]:
        return [] if self._slide is None else sorted(self._slide.associated)

    def _follow(self, event: object = None) -> None:
        active = self.viewer.layers.selection.active
        self.layer.reset_choices()
        if active in self.layer.values:
            self.layer.value = active
        self._show()

    def _show(self, *_: object) -> None:
        slide = self._slide
        self.overview.show_slide(self.layer.value)
        if slide is None:
            self.facts.setText("Open a slide to see what it is.")
            self.doubts.setText("")
        else:
            self.facts.setText("\n".join(described(slide)))
            self.doubts.setText("\n".join(f"Mind: {doubt}" for doubt in slide.warnings))
            if slide.mpp is not None:
                self.mpp.value = min(max(slide.mpp, self.mpp.min), self.mpp.max)
            self.managed.value = bool(self.layer.value.metadata.get(_MANAGED))
        self.which.reset_choices()
        self._show_picture()
        self.refresh()

    def _show_picture(self, *_: object) -> None:
        slide, name = self._slide, self.which.value
        if slide is None or name not in slide.associated:
            self.picture.clear()
            return
        try:
            self.picture.setPixmap(pixmap_of(slide.associated[name](), _PICTURE))
        except HistoscribeError as error:
            self.picture.setText(error.problem)


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
        lines.append(f"maker or format: {slide.vendor}")
    return lines


class SlideMap(QLabel):
    """Follows the camera of a viewer over the slide of one layer."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Layer | None = None
        self.setToolTip("The whole slide and the frame of what is shown; click to go somewhere")
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)

    def show_slide(self, layer: Layer | None) -> None:
        """Show the slide of another layer; nothing where its smallest level is too large to be read whole."""
        if layer is self._layer:
            return
        self._layer = layer
        self.clear()
        slide = slide_of(layer)
        pixels = None if slide is None else slide.levels[-1].pixels
        if pixels is not None and np.prod(pixels.shape[:2]) <= _MOST_PIXELS:
            quietly(self, lambda: np.asarray(pixels[:]), lambda found: self._show(layer, found))

    def follow(self, *_: object) -> None:
        """Draw the frame anew: the camera has moved."""
        self.update()

    def frame(self) -> QRectF:
        """What the canvas shows, in pixels of the picture; for a slide that is shown."""
        camera = self._viewer.scene.camera
        size = np.array(self._viewer.canvas.viewbox_size(self._viewer.layers), dtype=float) / camera.zoom
        middle = np.array(camera.center[-2:], dtype=float)
        (top, left), (bottom, right) = (self._place(middle + share * size) for share in (-0.5, 0.5))
        return QRectF(left, top, right - left, bottom - top)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the place that was clicked."""
        if self._layer is None or self.pixmap().isNull():
            return
        share = np.array([event.pos().y() / self.pixmap().height(), event.pos().x() / self.pixmap().width()])
        world = affine_of(self._layer) @ [*(share * self._shape()), 1.0]
        self._viewer.scene.camera.center = (0.0, float(world[0]), float(world[1]))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture, and the frame above it."""
        super().paintEvent(event)
        if self._layer is None or self.pixmap().isNull():
            return
        painter = QPainter(self)
        painter.setPen(QPen(QColor(DRAWN), 2))
        painter.drawRect(self.frame().intersected(QRectF(self.pixmap().rect()).adjusted(1, 1, -1, -1)))
        painter.end()

    def _show(self, layer: Layer | None, pixels: NDArray[np.uint8]) -> None:
        if layer is self._layer:
            self.setPixmap(pixmap_of(pixels, _SIDE))
            self.setFixedHeight(self.pixmap().height())

    def _place(self, world: NDArray[np.float64]) -> NDArray[np.float64]:
        """From (row, column) of the world to the picture."""
        place = (
            np.linalg.solve(affine_of(self._layer), [*world, 1.0])[:2] if self._layer is not None else world
        )
        share: NDArray[np.float64] = place / self._shape()
        return share * (self.pixmap().height(), self.pixmap().width())

    def _shape(self) -> NDArray[np.float64]:
        assert self._layer is not None
        finest = self._layer.data[0] if self._layer.multiscale else self._layer.data
        return np.array(finest.shape[:2], dtype=float)
