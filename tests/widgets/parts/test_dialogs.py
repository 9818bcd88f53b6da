"""Where to write is asked once, and the ending follows the kind that was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QFileDialog, QWidget

from histoscribe.errors import SettingError
from histoscribe.widgets.parts.dialogs import path_to_write, telling

pytestmark = pytest.mark.viewer

KINDS = "PNG (*.png);;SVG (*.svg)"


@pytest.mark.parametrize(
    ("typed", "kind", "path"),
    [
        ("view", "SVG (*.svg)", "view.svg"),
        ("view.pdf", "SVG (*.svg)", "view.pdf"),
        ("view", "Tables (*.h5ad *.csv)", "view.h5ad"),
        ("view", "", "view"),
        ("", "SVG (*.svg)", None),
    ],
)
def test_the_ending_follows_the_kind(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch, typed: str, kind: str, path: str | None
) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (typed, kind))
    assert path_to_write(parent, "Save", "view.png", KINDS) == (None if path is None else Path(path))


def test_errors_are_told_and_go_no_further() -> None:
    with telling():
        raise SettingError("that is too much", remedy="choose less")
    assert notification_manager.records[-1].message == "that is too much; choose less."
