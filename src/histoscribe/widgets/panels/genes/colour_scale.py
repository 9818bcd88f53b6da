"""The colour scale of the chosen genes: their colours, limits and units, and handles for the percentiles."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QWidget
from superqt import QDoubleRangeSlider


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
        slider: Any = QDoubleRangeSlider
        self.slider = slider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setToolTip("Percentiles of the values that get the first and the last colour")
        self.low, self.high = (QDoubleSpinBox(decimals=1, maximum=100, suffix=" %") for _ in range(2))
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
