"""A small picture of the whole slide with the frame of what the canvas shows; a click goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QLabel

from histoscribe.palette import DRAWN
from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.layers import affine_of, slide_of
from histoscribe.widgets.parts.pictures import pixmap_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

_SIDE = 220  # pixels on screen
_MOST_PIXELS = 30_000_000


class SlideMap(QLabel):
    """Follows the camera of a viewer over the slide of one layer."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Layer | None = None
        self.setToolTip("The whole slide and the frame of what is shown; click to go somewhere")
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        for event in (viewer.scene.camera.events.center, viewer.scene.camera.events.zoom):
            event.connect(self._follow)

    def show_slide(self, layer: Layer | None) -> None:
        """Show the slide of another layer; nothing where its smallest level is too large to be read whole."""
        if layer is self._layer:
            return
        self._layer = layer
        self.clear()
        slide = slide_of(layer)
        pixels = None if slide is None else slide.levels[-1].pixels
        if pixels is not None and np.prod(pixels.shape[:2]) <= _MOST_PIXELS:
            quietly(lambda: np.asarray(pixels[:]), lambda found: self._show(layer, found))

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

    def _follow(self, *_: object) -> None:
        self.update()
