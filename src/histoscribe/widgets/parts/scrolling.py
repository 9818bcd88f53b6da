"""Room in a panel: it scrolls inside itself."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget

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
