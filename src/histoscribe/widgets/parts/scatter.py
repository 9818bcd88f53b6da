"""Predicted against measured values of one gene, one dot a spot, with a lasso."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

_MANY = 20_000  # above, dots on one pixel are drawn once
_LEFT, _BOTTOM, _MARGIN = 34, 30, 8
_DOT, _CHOSEN = QColor(91, 110, 225, 130), QColor("#e07a3f")


class Scatter(QWidget):
    """A scatter plot; a lasso drawn with the mouse marks spots, a click clears the marks.

    Signals
    -------
    lassoed : ndarray of intp
        Rows of the dots inside the lasso; empty where it was cleared.
    """

    lassoed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._x = self._y = np.zeros(0)
        self._marked = np.zeros(0, dtype=bool)
        self._title, self._ends = "", (0.0, 1.0)
        self._lasso: list[QPointF] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setToolTip(
            "Each dot is a spot. Draw around dots to mark their spots on the tissue; click to clear."
        )

    @property
    def marked(self) -> NDArray[np.intp]:
        """Rows of the marked dots."""
        return np.flatnonzero(self._marked)

    def show_values(
        self, measured: NDArray[np.floating], predicted: NDArray[np.floating], title: str
    ) -> None:
        """Show values of shape (spots,), and a title; marks are kept while the number of spots stays."""
        self._x, self._y, self._title = np.asarray(measured), np.asarray(predicted), title
        if len(self._marked) != len(self._x):
            self._marked = np.zeros(len(self._x), dtype=bool)
        both = np.concatenate([self._x, self._y])
        both = both[np.isfinite(both)]
        low, high = (float(both.min()), float(both.max())) if both.size else (0.0, 1.0)
        self._ends = (low, high if high > low else low + 1.0)
        self.update()

    def mark(self, rows: NDArray[np.intp]) -> None:
        """Mark the dots of these rows; emits nothing."""
        self._marked = np.zeros(len(self._x), dtype=bool)
        self._marked[rows] = True
        self.update()

    def places(self) -> NDArray[np.float64]:
        """Where the dots lie in the widget, shape (spots, 2) as (x, y) in pixels."""
        box, (low, high) = self._box(), self._ends
        x = box.left() + (self._x - low) / (high - low) * box.width()
        y = box.bottom() - (self._y - low) / (high - low) * box.height()
        return np.column_stack([x, y])

    def sizeHint(self) -> QSize:
        """Qt asks how much room it wants."""
        return QSize(260, 240)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A lasso begins."""
        self._lasso = [event.position()]

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The lasso goes on."""
        self._lasso.append(event.position())
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The lasso is closed; one of less than three corners clears the marks."""
        outline = np.array([(point.x(), point.y()) for point in self._lasso])
        self._lasso = []
        rows = np.zeros(0, dtype=np.intp)
        if len(outline) > 2:
            from histoscribe.tiles import Region

            rows = np.flatnonzero(Region("", (0, 0, 0), outline).contains(self.places()))
        self.mark(rows)
        self.lassoed.emit(rows)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt asks for the picture."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink, box, places = self.palette().text().color(), self._box(), self.places()
        painter.setPen(QPen(QColor(128, 128, 128), 1, Qt.PenStyle.DashLine))
        painter.drawLine(box.bottomLeft(), box.topRight())
        self._dots(painter, places[~self._marked], _DOT, 4)
        self._dots(painter, places[self._marked], _CHOSEN, 6)
        painter.setPen(ink)
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        painter.drawLine(box.bottomLeft(), box.topLeft())
        self._labels(painter, box)
        if len(self._lasso) > 1:
            painter.setPen(QPen(_CHOSEN, 1.5))
            painter.drawPolyline(QPolygonF(self._lasso))
        painter.end()

    def _labels(self, painter: QPainter, box: QRectF) -> None:
        low, high = (f"{end:.2g}" for end in self._ends)
        centre, right = Qt.AlignmentFlag.AlignCenter, Qt.AlignmentFlag.AlignRight
        below = QRectF(box.left(), box.bottom() + 2, box.width(), 14)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, low)
        painter.drawText(below, right, high)
        painter.drawText(below.translated(0, 12), centre, "measured, log1p counts per 10,000")
        painter.drawText(QRectF(0, box.top(), _LEFT - 4, 14), right, high)
        painter.drawText(QRectF(0, box.bottom() - 14, _LEFT - 4, 14), right, low)
        painter.drawText(QRectF(box.left(), 0, box.width(), 18), centre, self._title)
        painter.save()
        painter.translate(_LEFT - 18, box.center().y())
        painter.rotate(-90)
        painter.drawText(QRectF(-60, -8, 120, 16), centre, "predicted")
        painter.restore()

    @staticmethod
    def _dots(painter: QPainter, places: NDArray[np.float64], colour: QColor, width: float) -> None:
        pen = QPen(colour, width)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        places = places[np.isfinite(places).all(axis=1)]
        if len(places) > _MANY:
            places = np.unique(places.round() @ (1, 1j))
            places = np.column_stack([places.real, places.imag])
        painter.drawPoints(QPolygonF([QPointF(x, y) for x, y in places]))

    def _box(self) -> QRectF:
        return QRectF(_LEFT, 20, self.width() - _LEFT - _MARGIN, self.height() - 20 - _BOTTOM)
