"""The model folders used last, kept between sessions in the user's own Qt settings."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSettings

from histoscribe.widgets.state.preferences import models_in, preferences

_KEY = "models/recent"
_KEPT = 8


def recent_models() -> list[Path]:
    """Models used before that still exist, the latest first, then those in the preferred folder."""
    used = _used()
    return used + [path for path in models_in(preferences().model_folder) if path not in used]


def _used() -> list[Path]:
    stored = _settings().value(_KEY, [])
    paths = [stored] if isinstance(stored, str) else stored if isinstance(stored, list) else []
    return [Path(path) for path in paths if (Path(path) / "card.json").exists()]


def remember_model(folder: Path) -> None:
    """Put a folder in front of the recent ones."""
    others = [path for path in _used() if path != folder]
    _settings().setValue(_KEY, [str(path) for path in [folder, *others]][:_KEPT])


def _settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "histoscribe", "viewer")
