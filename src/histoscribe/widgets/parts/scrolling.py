"""Room in a panel: it scrolls inside itself, and its widgets have an order."""

from __future__ import annotations

from collections.abc import Iterator

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFrame, QLayout, QScrollArea, QSplitter, QTabWidget, QWidget

_WIDE = 320  # pixels: what a panel gets at first, and the most that it demands


class Scrolled(QScrollArea):
    """Scrolls its content; as wide as the content needs, up to a bound, and of any height."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it follows what has the focus
        self.setWidget(content)
        content.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        """Qt asks how little room will do."""
        return QSize(min(self._across(self._content.minimumSizeHint()), _WIDE), 80)

    def sizeHint(self) -> QSize:
        """Qt asks how much room it wants."""
        wanted = self._content.sizeHint()
        return QSize(max(self._across(wanted), _WIDE), wanted.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Where the content wants more or less room, so does this."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def _across(self, size: QSize) -> int:
        return size.width() + self.verticalScrollBar().sizeHint().width()


def in_order(layout: QLayout) -> Iterator[QWidget]:
    """The widgets of a layout and of the layouts in it, as one reads them."""
    for place in range(layout.count()):
        item = layout.itemAt(place)
        if item is None:
            continue
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            yield widget
            pages = [widget]
            if isinstance(widget, QTabWidget | QSplitter):
                pages = [page for place in range(widget.count()) if (page := widget.widget(place))]
                yield from pages
            for page in pages:
                within = page.layout()
                if within is not None:
                    yield from in_order(within)
        elif inner is not None:
            yield from in_order(inner)
