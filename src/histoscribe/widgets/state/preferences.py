"""What the user prefers, kept by napari (Preferences > Histoscribe), and the models used last, kept by Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSettings, QStandardPaths

from histoscribe.slide.cache import PIXELS
from histoscribe.widgets.napari_private.probe import plugin_settings

DEVICES = ("auto", "cpu", "cuda", "mps")
_GB = 2**30


@dataclass(frozen=True)
class Preferences:
    """The user's wishes."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""
    memory_gb: float = 0.75
    """What slides may keep of their pixels in memory, in GiB."""
    model_folder: Path | None = None
    """Where models lie, each in a folder of its own; None where not set."""
    colour_map: str = "viridis"
    """Of a viewer that shows its first gene."""
    bin_um: float = 8.0
    """The bins in which Visium HD is opened."""


def preferences() -> Preferences:
    """Read what is set now; the defaults where napari does not know the plugin or its file is damaged."""
    settings = plugin_settings()
    if settings is None:
        return Preferences()
    folder = settings.running.model_folder.strip()
    return Preferences(
        settings.running.device,
        settings.running.memory_gb,
        Path(folder).expanduser() if folder else None,
        settings.painting.colour_map,
        float(settings.opening.bin_um),
    )


def follow_memory() -> None:
    """Bound what slides keep in memory by the preference, now and whenever it changes."""
    settings = plugin_settings()
    if settings is None:
        return
    _bound_pixels(settings.running.memory_gb)
    settings.running.events.memory_gb.disconnect(_on_memory)
    settings.running.events.memory_gb.connect(_on_memory)


def models_folder() -> Path:
    """Where models that are trained here go: the preferred folder, else one of the user's own."""
    place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return preferences().model_folder or Path(place) / "histoscribe" / "models"


def _on_memory(event: Any) -> None:
    _bound_pixels(event.value)


def _bound_pixels(gigabytes: float) -> None:
    PIXELS.bound(round(gigabytes * _GB))


_KEY = "models/recent"
_KEPT = 8


def recent_models() -> list[Path]:
    """Models used before that still exist, the latest first, then those in the preferred folder."""
    used, folder = _used(), preferences().model_folder
    there = [] if folder is None else sorted(path.parent for path in folder.glob("*/card.json"))
    return used + [path for path in there if path not in used]


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
