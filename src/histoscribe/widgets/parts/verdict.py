"""The banner of a panel: how far the predictions in view can be trusted, and a way to what is withheld."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from histoscribe.section import Section
from histoscribe.widgets.layers.painting import paint, told_verdicts, unlike_rows
from histoscribe.widgets.parts.panel import Panel, Words

_BOX = (
    '<table width="100%" cellpadding="5" bgcolor="{}"><tr><td style="color:white">'
    "<b>{}</b><br>{}</td></tr></table>"
)


class VerdictBanner(QWidget):
    """Verdicts on predicted sections, each in whole sentences on its colour; others say nothing."""

    def __init__(self, panel: Panel, sections: Callable[[], Sequence[Section]]) -> None:
        super().__init__()
        self._viewer, self._state, self._sections = panel.viewer, panel.state, sections
        self.words = Words()
        self.asked = QCheckBox("Paint what is unlike the training too")
        self.asked.setToolTip("Tiles that look like none of the training stay grey until you ask for them")
        self.asked.toggled.connect(self._on_asked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self.asked)
        panel.hear(panel.state.events.unlike, self.refresh)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Say the verdicts of now; nothing is shown where nothing was predicted."""
        sections = self._sections()
        told = told_verdicts(sections)
        boxes = (_BOX.format(one.colour, escape(one.of), escape(one.words)) for one in told)
        self.words.setText("".join(boxes))
        withheld = any(unlike_rows(one).any() for one in sections)
        self.words.setVisible(bool(told))
        self.asked.setVisible(withheld)
        self.setVisible(bool(told) or withheld)
        with signals_blocked(self.asked):
            self.asked.setChecked(self._state.unlike)

    def _on_asked(self, on: bool) -> None:
        self._state.unlike = on
        paint(self._viewer, self._state)
