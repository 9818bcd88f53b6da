"""The models that come with the package, by name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from histoscribe.errors import ModelError

FOLDER = Path(__file__).parent / "weights"


def bundled_names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in FOLDER.glob("*/card.json"))


def bundled(name: str | PathLike[str]) -> Path:
    """The folder of a bundled model; a path to a model's folder is given back as it is.

    Raises
    ------
    ModelError
        If it is neither.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if str(name) in bundled_names():
        return FOLDER / str(name)
    raise ModelError(
        "there is no model's folder here, and no model of this name comes with Histoscribe",
        where=name,
        remedy=f"name a folder, or one of {', '.join(bundled_names()) or '(none is bundled)'}",
    )
