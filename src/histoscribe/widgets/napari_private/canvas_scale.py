"""The colour scale in the canvas: strips drawn once into a small picture, which the canvas only copies.

napari's own colour bar lays out its text again at each change, which takes longer than painting the spots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components.overlays import CanvasOverlay
from qtpy.QtGui import QColor, QFontMetricsF, QImage, QPainter
from qtpy.QtWidgets import QApplication
from superqt.utils import qimage_to_array
from vispy.scene.visuals import Image

from histoscribe.widgets.layers.strips import Strip, draw_strips, height_of, width_of

try:
    from napari._vispy.overlays.base import VispyCanvasOverlay
    from napari._vispy.utils.visual import overlay_to_visual
except ImportError:  # another napari: genes and units are written as words
    VispyCanvasOverlay, overlay_to_visual = object, None

if TYPE_CHECKING:
    from napari.components import ViewerModel

_KEY, MAPS = "histoscribe_scale", "histoscribe_map_scale"
_WIDTH, _MARGIN = 300, 5


class ScaleOverlay(CanvasOverlay):
    """The colour strips shown in a canvas, at its lower left where not said otherwise.

    Parameters
    ----------
    strips : tuple of Strip
    """

    strips: tuple[Any, ...] = ()
    position: Any = "bottom_left"
    box: bool = False


class _DrawnScale(VispyCanvasOverlay):
    """How napari's canvas shows a `ScaleOverlay`."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("font_info", None)
        super().__init__(node=Image(np.zeros((1, 1, 4), np.uint8)), font_info=None, **kwargs)
        self.overlay.events.strips.connect(self._on_strips)
        self.viewer.canvas.events.background_color.connect(self._on_strips)
        self.reset()
        self._on_strips()

    def _on_strips(self, event: object = None) -> None:
        ratio = getattr(QApplication.instance(), "devicePixelRatio", lambda: 1.0)()
        ground = QColor.fromRgbF(*map(float, self.viewer.canvas.background_color[:3]), 0.8)
        ink = QColor.fromRgbF(*map(float, self._get_fgcolor()[:3]))
        pixels = picture_of(self.overlay.strips, ground, ink, ratio)
        self.node.set_data(pixels)
        self.node.transform.scale = (1 / ratio, 1 / ratio, 1, 1)
        size = pixels.shape[1] / ratio, pixels.shape[0] / ratio
        if size != (self.x_size, self.y_size):
            self.x_size, self.y_size = size
            self._on_position_change()


def picture_of(strips: Sequence[Strip], ground: QColor, ink: QColor, ratio: float) -> np.ndarray:
    """Strips on a ground as RGBA, shape (rows, columns, 4), with `ratio` pixels to a pixel of the screen."""
    width = max(_WIDTH, width_of(strips, QFontMetricsF(QApplication.font())))
    wide, high = width + 2 * _MARGIN, height_of(strips) + _MARGIN
    image = QImage(round(wide * ratio), round(high * ratio), QImage.Format.Format_ARGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(ground)
    painter = QPainter(image)
    painter.translate(_MARGIN, _MARGIN)
    painter.setFont(QApplication.font())
    draw_strips(painter, strips, width, ink)
    painter.end()
    return qimage_to_array(image)


def show_scale(
    viewer: ViewerModel, strips: Sequence[Strip], key: str = _KEY, position: str = "bottom_left"
) -> bool:
    """Show strips in a viewer's canvas, none where there are none; False where this napari cannot.

    Strips of another `key` are others, at a place of their own.
    """
    if overlay_to_visual is None:
        return False
    overlays = viewer.canvas.overlays
    if key not in overlays:
        if not strips:
            return True
        overlay_to_visual.setdefault(ScaleOverlay, _DrawnScale)
        overlays[key] = ScaleOverlay(position=position)
    overlay = overlays[key]
    if strips:
        overlay.strips = tuple(strips)
    overlay.visible = bool(strips)
    return True
