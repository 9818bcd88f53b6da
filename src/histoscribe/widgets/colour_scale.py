"""The colour scale of the chosen genes: their colours, limits and units, and handles for the percentiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget
from superqt import QDoubleRangeSlider

from histoscribe.widgets.choosers import number_box
from histoscribe.widgets.colours import BLEND, UNITS, Limits, table_of


class Bar(QWidget):
    """Colours from low to high, one strip a gene, with the limits written beneath."""

    _STRIP, _TEXT, _STOPS = 14, 16, 17

    def __init__(self) -> None:
        super().__init__()
        self._strips: list[tuple[str, list[QColor], Limits | None]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(f"Which value has which colour; {UNITS}")

    def show_scales(self, strips: Sequence[tuple[str, str | int, Limits | None]]) -> None:
        """Show one strip each: what it stands for, its colour map or its place in the blend, its limits.

        Limits are None where each layer has its own.
        """
        self._strips = [(words, _stops(colours, self._STOPS), limits) for words, colours, limits in strips]
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Qt asks how much room it wants."""
        return QSize(200, max(1, len(self._strips)) * (self._STRIP + self._TEXT) + 2)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt asks for the picture."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1))
        painter.setFont(font)
        for place, (words, colours, limits) in enumerate(self._strips):
            top = place * (self._STRIP + self._TEXT)
            gradient = QLinearGradient(0, 0, self.width(), 0)
            for step, colour in enumerate(colours):
                gradient.setColorAt(step / (len(colours) - 1), colour)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(gradient)
            painter.drawRoundedRect(QRectF(0, top, self.width(), self._STRIP), 3, 3)
            painter.setPen(self.palette().text().color())
            below = QRectF(1, top + self._STRIP, self.width() - 2, self._TEXT)
            low, high = ("own", "own") if limits is None else (f"{end:.2f}" for end in limits)
            painter.drawText(below, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, low)
            painter.drawText(below, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, high)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, words)
        painter.end()


class PercentileHandles(QWidget):
    """Two percentiles as handles on one track, and as numbers to type.

    Signals
    -------
    changed : float, float
        Low and high percentile.
    """

    changed = Signal(float, float)

    def __init__(self) -> None:
        super().__init__()
        self.slider = QDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setToolTip("Percentiles of the values that get the first and the last colour")
        self.low, self.high = number_box(0, 0, 100, " %"), number_box(100, 0, 100, " %")
        self.low.setToolTip("This percentile of the values gets the first colour")
        self.high.setToolTip("This percentile of the values gets the last colour")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, 0, 0, 1, 3)
        layout.addWidget(self.low, 1, 0)
        layout.addWidget(QLabel("to"), 1, 1, Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self.high, 1, 2)
        self.slider.valueChanged.connect(lambda ends: self._set(*ends))
        self.low.valueChanged.connect(lambda low: self._set(low, max(low, self.high.value())))
        self.high.valueChanged.connect(lambda high: self._set(min(high, self.low.value()), high))

    def show_values(self, low: float, high: float) -> None:
        """Show two percentiles; emits nothing."""
        for widget in (self.slider, self.low, self.high):
            widget.blockSignals(True)
        self.slider.setValue((low, high))
        self.low.setValue(low)
        self.high.setValue(high)
        for widget in (self.slider, self.low, self.high):
            widget.blockSignals(False)

    def _set(self, low: float, high: float) -> None:
        self.show_values(low, high)
        self.changed.emit(float(low), float(high))


def _stops(colours: str | int, count: int) -> list[QColor]:
    if isinstance(colours, int):
        return [QColor(255, 255, 255), QColor.fromRgbF(*BLEND[colours])]
    table = table_of(colours)
    return [
        QColor.fromRgbF(*map(float, table[row])) for row in np.linspace(0, len(table) - 1, count, dtype=int)
    ]
