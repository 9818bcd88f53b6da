"""Whether napari can be opened here."""

import os
import sys
from importlib.util import find_spec

from histoscribe.errors import DependencyError, HistoscribeError

INSTALL = 'install it with: pip install "napari-histoscribe[viewer]"'


def has_screen() -> bool:
    """Whether a window can be shown."""
    if sys.platform in ("win32", "darwin"):
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_viewer() -> bool:
    """Whether napari and a Qt binding are installed."""
    return is_installed("napari") and any(is_installed(name) for name in ("PySide6", "PyQt6", "PyQt5"))


def is_installed(package: str) -> bool:
    """Whether `package` can be imported, without importing it."""
    try:
        return find_spec(package) is not None
    except ImportError:
        return False


def need_screen() -> None:
    """Raise unless napari can be opened.

    Raises `DependencyError` if napari or Qt is not installed, `HistoscribeError` if there is no screen.
    """
    if not has_viewer():
        raise DependencyError("napari is not installed", remedy=INSTALL)
    if not has_screen():
        remedy = "run this on a desktop, or use histoscribe info and histoscribe compare, which need none"
        raise HistoscribeError("there is no screen to open napari on", remedy=remedy)
