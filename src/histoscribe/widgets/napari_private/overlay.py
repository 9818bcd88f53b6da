"""A small picture in the canvas, drawn once at each change, which the canvas only copies.

napari's own colour bar lays out its text again at each change, which takes longer than painting the spots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.components.overlays import CanvasOverlay
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication
from vispy.scene.visuals import Image

from histoscribe.arrays import Pixels
from histoscribe.widgets.napari_private.probe import Use, may

try:
    from napari._vispy.overlays import base
    from napari._vispy.utils import visual
except ImportError:
    base = visual = None
Base: Any = getattr(base, "VispyCanvasOverlay", object)

Draw = Callable[[QColor, QColor, float, float], Pixels]
"""Gives RGBA, shape (rows, columns, 4), from the ground, the ink, the pixels to a pixel of the screen, and
how many of those the canvas has across."""

_OF_BASE = ("_get_fgcolor(self)", "_on_position_change(self, event)", "reset(self)")


class PictureOverlay(CanvasOverlay):
    """A picture shown in a canvas."""

    draw: Any = None
    position: Any = "bottom_left"
    box: bool = False


class _Picture(Base):
    """How napari's canvas shows a `PictureOverlay`."""

    x_size: float
    y_size: float

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("font_info", None)
        super().__init__(node=Image(np.zeros((1, 1, 4), np.uint8)), font_info=None, **kwargs)
        self.overlay.events.draw.connect(self._on_draw)
        self.viewer.canvas.events.background_color.connect(self._on_draw)
        self.viewer.canvas.events.size.connect(self._on_draw)
        self.reset()
        self._on_draw()

    def _on_draw(self, event: object = None) -> None:
        ratio = getattr(QApplication.instance(), "devicePixelRatio", lambda: 1.0)()
        red, green, blue = map(float, self.viewer.canvas.background_color[:3])
        ground = QColor.fromRgbF(red, green, blue, 0.8)
        ink = QColor.fromRgbF(*map(float, self._get_fgcolor()[:3]))
        room = self.viewer.canvas.size[1] - 2 * self.viewer.canvas.overlay_tiling.padding[0]
        pixels = self.overlay.draw(ground, ink, ratio, room)
        self.node.set_data(pixels)
        self.node.transform.scale = (1 / ratio, 1 / ratio, 1, 1)
        size = pixels.shape[1] / ratio, pixels.shape[0] / ratio
        if size != (self.x_size, self.y_size):
            self.x_size, self.y_size = size
            self._on_position_change()


def show_picture(viewer: ViewerModel, key: str, position: str, draw: Draw | None) -> bool:
    """Show a picture in a viewer's canvas, or none; False where this is not possible or not wished.

    Pictures of another key are others; `position` is one of napari's places for what lies in the canvas.
    """
    overlays = viewer.canvas.overlays
    parts = (visual, ("overlay_to_visual",)), (Base, _OF_BASE), (viewer.canvas, ("size",))
    if not may(Use.COLOUR_SCALE, *parts):
        if key in overlays:
            overlays[key].visible = False
        return False
    if key not in overlays:
        if draw is None:
            return True
        visual.overlay_to_visual.setdefault(PictureOverlay, _Picture)
        overlays[key] = PictureOverlay(draw=draw, position=position)
    elif draw is not None:
        overlays[key].draw = draw
    overlays[key].visible = draw is not None
    return True
