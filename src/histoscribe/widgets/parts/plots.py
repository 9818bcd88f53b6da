"""Plots and small pictures: a scatter with a lasso, violins, a map of dots, a colour scale, tissue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from histoscribe.arrays import Pixels, Wide
from histoscribe.palette import ACCENT, MARK
from histoscribe.tiles import Region
from histoscribe.widgets.layers.colours import UNITS
from histoscribe.widgets.layers.strips import Strip, draw_strips, height_of

Values = NDArray[np.floating]
_MANY = 20_000  # above, dots on one pixel are drawn once
_LEFT, _TOP, _LINE, _MARGIN = 34, 20, 14, 8
_DOT, _CHOSEN = QColor(ACCENT), QColor(MARK)
_DOT.setAlpha(130)
_CENTRE, _RIGHT = Qt.AlignmentFlag.AlignCenter, Qt.AlignmentFlag.AlignRight


class Plot(QWidget):
    """A box with a title above it and room below, in pixels; values are placed in it by `place`."""

    def __init__(self, below: int) -> None:
        super().__init__()
        self.title = ""
        self._below = below
        self._low, self._high = np.zeros(2), np.ones(2)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(150)

    @property
    def box(self) -> QRectF:
        """Where values are drawn, in pixels."""
        wide, high = self.width() - _LEFT - _MARGIN, self.height() - _TOP - self._below
        return QRectF(_LEFT, _TOP, wide, high)

    def set_ends(self, values: Values) -> None:
        """Have the box hold all finite `values`, shape (n, 2) as (x, y)."""
        known = values[np.isfinite(values).all(axis=1)]
        known = known if len(known) else np.array([[0.0, 0.0], [1.0, 1.0]])
        self._low, self._high = known.min(axis=0), known.max(axis=0)
        self._high = np.where(self._high > self._low, self._high, self._low + 1.0)
        self.update()

    def place(self, values: Values) -> Wide:
        """Where values, shape (n, 2) as (x, y), lie in the widget, in pixels."""
        box, share = self.box, (np.asarray(values, dtype=float) - self._low) / (self._high - self._low)
        across, up = share.T
        return np.column_stack([box.left() + across * box.width(), box.bottom() - up * box.height()])

    def sizeHint(self) -> QSize:
        """Qt asks how much room it wants."""
        return QSize(260, 240)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt asks for the picture."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self.palette().text().color())
        painter.drawText(QRectF(_LEFT, 0, self.box.width(), 18), _CENTRE, self.title)
        self.draw(painter)
        painter.end()

    def draw(self, painter: QPainter) -> None:
        """Draw what the plot shows; the pen has the colour of words."""
        raise NotImplementedError

    def draw_axes(self, painter: QPainter, below: str, beside: str) -> None:
        """Draw two axes and what they mean."""
        box = self.box
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        painter.drawLine(box.bottomLeft(), box.topLeft())
        painter.drawText(QRectF(box.left(), box.bottom() + _LINE, box.width(), _LINE), _CENTRE, below)
        painter.save()
        painter.translate(_LEFT - 18, box.center().y())
        painter.rotate(-90)
        painter.drawText(QRectF(-box.height() / 2, -8, box.height(), 16), _CENTRE, beside)
        painter.restore()

    def draw_ends(self, painter: QPainter, across: bool = False) -> None:
        """Write the ends of the values up and down, and of those across."""
        box = self.box
        for end, top in ((self._high[1], box.top()), (self._low[1], box.bottom() - _LINE)):
            painter.drawText(QRectF(0, top, _LEFT - 4, _LINE), _RIGHT, f"{end:.2g}")
        if across:
            below = QRectF(box.left(), box.bottom() + 2, box.width(), _LINE)
            painter.drawText(below, Qt.AlignmentFlag.AlignLeft, f"{self._low[0]:.2g}")
            painter.drawText(below, _RIGHT, f"{self._high[0]:.2g}")

    @staticmethod
    def draw_dots(painter: QPainter, places: Wide, colour: QColor, width: float) -> None:
        """Draw round dots at places in pixels."""
        pen = QPen(colour, width)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        places = places[np.isfinite(places).all(axis=1)]
        if len(places) > _MANY:
            packed = np.unique(places.round() @ (1, 1j))
            places = np.column_stack([packed.real, packed.imag])
        painter.drawPoints(QPolygonF([QPointF(x, y) for x, y in places]))


class Scatter(Plot):
    """Predicted against measured values; a lasso drawn with the mouse marks spots, a click clears them."""

    lassoed = Signal(object)

    def __init__(self) -> None:
        super().__init__(below=30)
        self._values = np.zeros((0, 2))
        self._marked = np.zeros(0, dtype=bool)
        self._lasso: list[QPointF] = []
        self.setToolTip(
            "Each dot is a spot. Draw around dots to mark their spots on the tissue; click to clear."
        )

    @property
    def marked(self) -> NDArray[np.intp]:
        """Rows of the marked dots."""
        return np.flatnonzero(self._marked)

    def show_values(self, measured: Values, predicted: Values, title: str) -> None:
        """Show values of shape (spots,), and a title; marks are kept while the number of spots stays."""
        self.title, self._values = title, np.column_stack([measured, predicted])
        if len(self._marked) != len(self._values):
            self._marked = np.zeros(len(self._values), dtype=bool)
        both = self._values.ravel()
        self.set_ends(np.column_stack([both, both])[np.isfinite(both)])

    def mark(self, rows: NDArray[np.intp]) -> None:
        """Mark the dots of these rows; emits nothing."""
        self._marked = np.zeros(len(self._values), dtype=bool)
        self._marked[rows] = True
        self.update()

    def places(self) -> Wide:
        """Where the dots lie in the widget, shape (spots, 2) as (x, y) in pixels."""
        return self.place(self._values)

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
            rows = np.flatnonzero(Region("", (0, 0, 0), outline).contains(self.places()))
        self.mark(rows)
        self.lassoed.emit(rows)

    def draw(self, painter: QPainter) -> None:
        """Draw the line of equals, the dots, the axes and a lasso that is being drawn."""
        ink, box, places = painter.pen(), self.box, self.places()
        painter.setPen(QPen(QColor(128, 128, 128), 1, Qt.PenStyle.DashLine))
        painter.drawLine(box.bottomLeft(), box.topRight())
        self.draw_dots(painter, places[~self._marked], _DOT, 4)
        self.draw_dots(painter, places[self._marked], _CHOSEN, 6)
        painter.setPen(ink)
        self.draw_axes(painter, f"measured, {UNITS}", "predicted")
        self.draw_ends(painter, across=True)
        if len(self._lasso) > 1:
            painter.setPen(QPen(_CHOSEN, 1.5))
            painter.drawPolyline(QPolygonF(self._lasso))


@dataclass(frozen=True, eq=False)
class Dots:
    """Dots of one colour in a map."""

    name: str
    """In the legend; empty to leave it out there."""
    places: Values
    """As (x, y), shape (n, 2)."""
    colour: str
    size: float = 4.0
    """Pixels."""


class DotMap(Plot):
    """Groups of dots on two axes without a scale, with a legend below."""

    def __init__(self, across: str, up: str) -> None:
        super().__init__(below=2 * _LINE)
        self.groups: Sequence[Dots] = ()
        self._words = across, up

    def show_groups(self, groups: Sequence[Dots], title: str = "") -> None:
        """Show these groups, later ones above earlier ones."""
        self.groups, self.title = groups, title
        self.set_ends(np.concatenate([group.places for group in groups] or [np.zeros((0, 2))]))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt asks for the picture: the legend's lines follow the width."""
        self._below = 2 * _LINE + _LINE * (1 + max((line for *_, line in self._legend()), default=-1)) + 4
        super().paintEvent(event)

    def draw(self, painter: QPainter) -> None:
        """Draw axes, dots and legend."""
        ink, box = painter.pen(), self.box
        self.draw_axes(painter, *self._words)
        for group in self.groups:
            self.draw_dots(painter, self.place(group.places), QColor(group.colour), group.size)
        for group, left, line in self._legend():
            middle = box.bottom() + 2 * _LINE + 4 + (line + 0.5) * _LINE
            self.draw_dots(painter, np.array([[left + 4, middle]]), QColor(group.colour), 8)
            painter.setPen(ink)
            painter.drawText(QPointF(left + 12, middle + 4), group.name)

    def _legend(self) -> list[tuple[Dots, float, int]]:
        """Each named group, where it begins and in which line."""
        found, left, line = [], float(_MARGIN), 0
        for group in self.groups:
            wide = self.fontMetrics().horizontalAdvance(group.name) + 24
            if group.name and left + wide > self.width() and left > _MARGIN:
                left, line = float(_MARGIN), line + 1
            if group.name:
                found.append((group, left, line))
                left += wide
        return found


class Violins(Plot):
    """One violin a class: its width is the density of values, the bar its quartiles, the dot its median."""

    _STEPS = 60

    def __init__(self) -> None:
        super().__init__(below=34)
        self._groups: dict[str, tuple[Wide, QColor]] = {}

    def show_groups(self, groups: Mapping[str, tuple[Values, tuple[int, int, int]]], gene: str) -> None:
        """Show the values and the colour of each class; classes without spots stay empty."""
        self._groups = {
            name: (np.asarray(values, dtype=float)[np.isfinite(values)], QColor(*colour))
            for name, (values, colour) in groups.items()
        }
        self.title = f"{gene}, {UNITS}" if gene else ""
        told = [
            f"{name}: median {np.median(values):.2f} of {len(values)} spots"
            for name, (values, _) in self._groups.items()
            if len(values)
        ]
        self.setToolTip("\n".join(told))
        every = np.concatenate([values for values, _ in self._groups.values()] or [np.zeros(0)])
        self.set_ends(np.column_stack([every, every]))

    def draw(self, painter: QPainter) -> None:
        """Draw the violins and the classes' names."""
        if not any(len(values) for values, _ in self._groups.values()):
            return
        self.draw_ends(painter)
        ink, box = painter.pen(), self.box
        each = box.width() / len(self._groups)
        for number, (name, (values, colour)) in enumerate(self._groups.items()):
            middle = box.left() + each * (number + 0.5)
            if len(values):
                self._violin(painter, values, colour, middle, 0.42 * each)
            below = QRectF(middle - each / 2, box.bottom() + 2, each, 32)
            painter.setPen(ink)
            painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, f"{name}\n{len(values)} spots")

    def _violin(self, painter: QPainter, values: Wide, colour: QColor, middle: float, half: float) -> None:
        low, high = float(self._low[1]), float(self._high[1])
        levels = np.linspace(low, high, self._STEPS)
        # Gaussian kernel with Silverman's rule of thumb for its width.
        width = max(0.9 * values.std() * len(values) ** -0.2, (high - low) / 60)
        density = np.exp(-0.5 * ((levels[:, None] - values) / width) ** 2).sum(axis=1)
        density *= half / density.max()
        marks = np.concatenate([levels, np.percentile(values, [25, 50, 75])])
        heights = self.place(np.column_stack([marks, marks]))[:, 1]
        right = [QPointF(middle + wide, height) for wide, height in zip(density, heights, strict=False)]
        left = [QPointF(2 * middle - point.x(), point.y()) for point in reversed(right)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF(right + left))
        quarter, median, three = heights[-3:]
        painter.setPen(QPen(QColor(20, 20, 20), 4))
        painter.drawLine(QPointF(middle, quarter), QPointF(middle, three))
        painter.setPen(QPen(QColor(255, 255, 255), 5))
        painter.drawPoint(QPointF(middle, median))


class Bar(QWidget):
    """Colours from low to high, one strip a gene, with the limits written beneath."""

    def __init__(self) -> None:
        super().__init__()
        self.strips: Sequence[Strip] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(f"Which value has which colour; {UNITS}")

    def show_scales(self, strips: Sequence[Strip]) -> None:
        """Show these strips; hidden where there are none."""
        self.strips = strips
        self.setVisible(bool(strips))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Qt asks how much room it wants."""
        return QSize(200, max(height_of(self.strips), 30) + 2)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt asks for the picture."""
        painter = QPainter(self)
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1))
        painter.setFont(font)
        draw_strips(painter, self.strips, self.width(), self.palette().text().color())
        painter.end()


def pixmap_of(pixels: Pixels, side: int) -> QPixmap:
    """RGB pixels, shape (rows, columns, 3), to fit a square of `side` pixels on screen."""
    rows, columns = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).tobytes()
    image = QImage(data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
    smooth = Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(image).scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, smooth)


def show_picture(label: QLabel, pixels: Pixels | None, meaning: str, side: int = 76) -> None:
    """Show a crop as a label's picture and its meaning as tooltip; say why where there is none."""
    label.setToolTip(meaning)
    if pixels is None:
        label.setText("no picture:\nits slide is\nnot open")
    else:
        label.setPixmap(pixmap_of(pixels, side))
