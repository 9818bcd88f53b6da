"""Opening a session file like any other file: by drag and drop, or File > Open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from histoscribe.widgets.contributions.readers import NOTHING_MORE, PathOrPaths


def session_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[tuple[Any, ...]]] | None:
    """Offer to bring a session back; None for every other JSON file."""
    from histoscribe.widgets.session.file import SUFFIX

    single = path if isinstance(path, str) else path[0] if len(path) == 1 else ""
    return read if str(single).endswith(SUFFIX) and Path(single).is_file() else None


def read(path: PathOrPaths) -> list[tuple[Any, ...]]:
    """Bring a session back into the viewer at hand; napari itself has no layer to add then."""
    import napari

    from histoscribe.progress import Progress
    from histoscribe.widgets.napari_private.window import unwrapped
    from histoscribe.widgets.session.session import restore
    from histoscribe.widgets.session.sources import reopen

    viewer = napari.current_viewer()
    assert viewer is not None
    restore(unwrapped(viewer), reopen(Path(path if isinstance(path, str) else path[0]), Progress()))
    return NOTHING_MORE
