"""Colour strips with limits and units: what they stand for, how they are drawn, where in the canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QImage, QLinearGradient, QPainter
from qtpy.QtWidgets import QApplication
from superqt.utils import qimage_to_array

from histoscribe.arrays import Pixels
from histoscribe.genes import symbol_of
from histoscribe.widgets.layers.colours import BLEND, DIFFERENCE, UNITS, Limits, table_of
from histoscribe.widgets.layers.view_state import ViewState

Strip = tuple[str, str | int, Limits | None]
"""What it stands for; its colour map or its place in the blend; its limits, None where each layer has own."""

GENES, MAPS = "histoscribe_scale", "histoscribe_map_scale"
"""Names of the scales in the canvas: of genes, and of the map on top."""

_HEIGHT, _TEXT, _APART, _STOPS = 14, 16, 14, 17
_WIDTH, _MARGIN = 300, 5


@dataclass(frozen=True)
class Scale:
    """Strips as a picture on a ground."""

    strips: tuple[Strip, ...]

    def __call__(self, ground: QColor, ink: QColor, ratio: float, room: float) -> Pixels:
        """RGBA, shape (rows, columns, 4), with `ratio` pixels to each of the `room` pixels across."""
        font = QApplication.font()
        metrics = QFontMetricsF(font)
        ends = [_ends_of(one, metrics) for one in self.strips]
        needed = [metrics.horizontalAdvance(one[0]) + end for one, end in zip(self.strips, ends, strict=True)]
        width = max(1.0, min(max([_WIDTH, *needed]), room - 2 * _MARGIN))
        font.setPointSizeF(font.pointSizeF() * min(1.0, width / max([1.0, *ends])))
        wide, high = width + 2 * _MARGIN, height_of(self.strips) + _MARGIN
        image = QImage(round(wide * ratio), round(high * ratio), QImage.Format.Format_ARGB32)
        image.setDevicePixelRatio(ratio)
        image.fill(ground)
        painter = QPainter(image)
        painter.translate(_MARGIN, _MARGIN)
        painter.setFont(font)
        draw_strips(painter, self.strips, width, ink)
        painter.end()
        pixels: Pixels = qimage_to_array(image)
        return pixels


def show_scale(viewer: ViewerModel, strips: Sequence[Strip], key: str = GENES) -> bool:
    """Show strips in a viewer's canvas, none where there are none; False where this napari cannot.

    Those of genes stand above the scale bar, where the narrowest canvas has room for both.
    """
    from histoscribe.widgets.napari_private.overlay import show_picture

    position = "bottom_right" if key == GENES else "top_left"
    return show_picture(viewer, key, position, Scale(tuple(strips)) if strips else None)


def strips_of(
    viewer: ViewerModel, state: ViewState, limits: Mapping[str, Mapping[str, Limits]]
) -> list[Strip]:
    """A strip for each gene that is painted, and one for each difference; limits as `paint` returns them."""
    blend = len(state.genes) > 1 and state.layout == "blend"
    different = {layer.name for layer in viewer.layers if DIFFERENCE in layer.metadata}
    strips: list[Strip] = []
    for place, gene in enumerate(state.genes):
        ends = {shown[gene] for name, shown in limits.items() if gene in shown and name not in different}
        if not ends:
            continue
        name = symbol_of(gene)
        words = f"{name}, {UNITS}" if len(ends) < 2 else f"{name}, own limits on each layer"
        colours = place if blend else state.colour_map
        strips.append((words, colours, ends.pop() if len(ends) == 1 else None))
    for name in sorted(different & limits.keys()):
        strips.append((f"{symbol_of(state.gene)}, {DIFFERENCE}", DIFFERENCE, limits[name].get(state.gene)))
    return strips


def height_of(strips: Sequence[Strip]) -> int:
    """Pixels from the top of the first strip to the foot of the last one's words."""
    return len(strips) * (_HEIGHT + _TEXT)


def draw_strips(painter: QPainter, strips: Sequence[Strip], width: float, ink: QColor) -> None:
    """Draw strips one below the other, from low at the left to high at the right; words too long are cut."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    metrics = QFontMetricsF(painter.font())
    for place, (words, colours, limits) in enumerate(strips):
        top = place * (_HEIGHT + _TEXT)
        gradient = QLinearGradient(0, 0, width, 0)
        for share, colour in _stops(colours):
            gradient.setColorAt(share, colour)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gradient)
        painter.drawRoundedRect(QRectF(0, top, width, _HEIGHT), 3, 3)
        painter.setPen(ink)
        below = QRectF(1, top + _HEIGHT, width - 2, _TEXT)
        low, high = _written(limits)
        room = width - _ends_of((words, colours, limits), metrics)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, low)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, high)
        shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, room)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, shown)


def _ends_of(strip: Strip, metrics: QFontMetricsF) -> float:
    """Pixels that the limits need at both sides of centred words."""
    return 2 * max(map(metrics.horizontalAdvance, _written(strip[2]))) + _APART


def _written(limits: Limits | None) -> list[str]:
    """Limits as words: two digits behind the point, more where both are small."""
    if limits is None:
        return ["own", "own"]
    digits = ".2f" if max(map(abs, limits)) >= 0.1 else ".1g"
    return [f"{end:{digits}}" for end in limits]


def _stops(colours: str | int) -> list[tuple[float, QColor]]:
    if isinstance(colours, int):
        return [(0.0, QColor(255, 255, 255)), (1.0, QColor.fromRgbF(*BLEND[colours]))]
    table = table_of(colours)
    some = table[np.linspace(0, len(table) - 1, _STOPS, dtype=int)].astype(float)
    return [(place / (_STOPS - 1), QColor.fromRgbF(*one)) for place, one in enumerate(some.tolist())]
