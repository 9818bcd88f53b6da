"""What the user prefers, as set under Preferences > Histoscribe; napari keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoscribe.widgets.napari_private.probe import plugin_settings

_GB = 2**30


@dataclass(frozen=True)
class Preferences:
    """The user's wishes.

    Parameters
    ----------
    device : str
        `auto`, `cpu`, `cuda` or `mps`.
    memory_gb : float
        What slides may keep of their pixels in memory, in GiB.
    model_folder : Path or None
        Where models lie, each in a folder of its own; None where not set.
    colour_map : str
        Of a viewer that shows its first gene.
    bin_um : float
        The bins in which Visium HD is opened.
    """

    device: str = "auto"
    memory_gb: float = 0.75
    model_folder: Path | None = None
    colour_map: str = "viridis"
    bin_um: float = 8.0


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


def models_in(folder: Path | None) -> list[Path]:
    """The models in a folder, by name."""
    return [] if folder is None else sorted(path.parent for path in folder.glob("*/card.json"))


def _on_memory(event: Any) -> None:
    _bound_pixels(event.value)


def _bound_pixels(gigabytes: float) -> None:
    from histoscribe.slide.cache import PIXELS

    PIXELS.bound(round(gigabytes * _GB))
