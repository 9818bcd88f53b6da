"""Violin plots: how the values of one gene are spread in each class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from histoscribe.widgets.layers.colours import UNITS

_LEFT, _TOP, _BOTTOM, _STEPS = 34, 20, 34, 60


class Violins(QWidget):
    """One violin a class: its width is the density of values, the bar its quartiles, the dot its median."""

    def __init__(self) -> None:
        super().__init__()
        self._groups: dict[str, tuple[NDArray[np.float64], tuple[int, int, int]]] = {}
        self._title = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(150)

    def show_groups(
        self, groups: Mapping[str, tuple[NDArray[np.floating], tuple[int, int, int]]], gene: str
    ) -> None:
        """Show the values and the colour of each class; classes without spots stay empty."""
        self._groups = {
            name: (np.asarray(values, dtype=float)[np.isfinite(values)], colour)
            for name, (values, colour) in groups.items()
        }
        self._title = f"{gene}, {UNITS}" if gene else ""
        told = [
            f"{name}: median {np.median(values):.2f} of {len(values)} spots"
            for name, (values, _) in self._groups.items()
            if len(values)
        ]
        self.setToolTip("\n".join(told))
        self.update()

    def sizeHint(self) -> QSize:
        """Qt asks how much room it wants."""
        return QSize(260, 200)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt asks for the picture."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().text().color()
        painter.setPen(ink)
        centre = Qt.AlignmentFlag.AlignCenter
        painter.drawText(QRectF(0, 0, self.width(), _TOP), centre, self._title)
        every = np.concatenate([values for values, _ in self._groups.values()] or [np.zeros(0)])
        if not every.size:
            painter.end()
            return
        low, high = float(every.min()), float(max(every.max(), every.min() + 1e-6))
        box = QRectF(_LEFT, _TOP, self.width() - _LEFT, self.height() - _TOP - _BOTTOM)
        painter.drawText(QRectF(0, box.top(), _LEFT - 4, 14), Qt.AlignmentFlag.AlignRight, f"{high:.2g}")
        painter.drawText(
            QRectF(0, box.bottom() - 14, _LEFT - 4, 14), Qt.AlignmentFlag.AlignRight, f"{low:.2g}"
        )
        each = box.width() / len(self._groups)
        for place, (name, (values, colour)) in enumerate(self._groups.items()):
            middle = box.left() + each * (place + 0.5)
            self._violin(painter, values, QColor(*colour), middle, 0.42 * each, box, low, high)
            below = QRectF(middle - each / 2, box.bottom() + 2, each, _BOTTOM - 2)
            painter.setPen(ink)
            painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, f"{name}\n{len(values)} spots")
        painter.end()

    @staticmethod
    def _violin(
        painter: QPainter,
        values: NDArray[np.float64],
        colour: QColor,
        middle: float,
        half: float,
        box: QRectF,
        low: float,
        high: float,
    ) -> None:
        if not values.size:
            return

        def height(value: float) -> float:
            return box.bottom() - (value - low) / (high - low) * box.height()

        levels = np.linspace(low, high, _STEPS)
        # Gaussian kernel with Silverman's rule of thumb for its width.
        width = max(0.9 * values.std() * len(values) ** -0.2, (high - low) / 60)
        density = np.exp(-0.5 * ((levels[:, None] - values) / width) ** 2).sum(axis=1)
        density *= half / density.max()
        right = [QPointF(middle + wide, height(level)) for wide, level in zip(density, levels, strict=True)]
        left = [QPointF(2 * middle - point.x(), point.y()) for point in reversed(right)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF(right + left))
        quarter, median, three = np.percentile(values, [25, 50, 75])
        painter.setPen(QPen(QColor(20, 20, 20), 4))
        painter.drawLine(QPointF(middle, height(quarter)), QPointF(middle, height(three)))
        painter.setPen(QPen(QColor(255, 255, 255), 5))
        painter.drawPoint(QPointF(middle, height(median)))
