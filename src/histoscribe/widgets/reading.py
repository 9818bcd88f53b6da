"""Readers: decide quickly whether a path is ours, and open it lazily."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histoscribe.section import Section
    from histoscribe.slide import Slide

PathOrPaths = str | Sequence[str]
Reader = Callable[[PathOrPaths], list[tuple[Any, dict[str, Any], str]]]

_CERTAIN = {".svs", ".scn", ".qptiff", ".ndpi"}
_TIFF = {".tif", ".tiff"}
_FOLDER_MARKS = ("spatial/tissue_positions*", "*feature_bc_matrix*", "binned_outputs", "segmented_outputs")


def slide_reader(path: PathOrPaths) -> Reader | None:
    """Offer to open a whole-slide image; None for anything else, stacks of files included."""
    file = _single(path)
    if file is None or not file.is_file():
        return None
    ending = file.suffix.lower()
    if ending in _CERTAIN or (ending in _TIFF and _is_pyramid(file)):
        return read
    return None


def folder_reader(path: PathOrPaths) -> Reader | None:
    """Offer to open a Space Ranger folder; None for any other folder."""
    folder = _single(path)
    return read if folder is not None and _is_space_ranger(folder) else None


def table_reader(path: PathOrPaths) -> Reader | None:
    """Offer to open an h5ad file that holds positions of spots; None without them."""
    file = _single(path)
    if file is None or file.suffix.lower() != ".h5ad" or not file.is_file():
        return None
    return read if _has_positions(file) else None


def read(path: PathOrPaths) -> list[tuple[Any, dict[str, Any], str]]:
    """Open one path as napari layer data; the pixels stay on disk until they are looked at."""
    from histoscribe.widgets.layers import layers_of

    file = _single(path)
    assert file is not None
    return layers_of(open_any(file))


def open_any(path: str | os.PathLike[str]) -> Section | Slide:
    """Open a Space Ranger folder or an h5ad file as a section, and everything else as a slide.

    Raises
    ------
    HistoscribeError
        If it cannot be read.
    """
    path = Path(path)
    if _is_space_ranger(path) or path.suffix.lower() in (".h5ad", ".h5"):
        from histoscribe.section import open_section

        return open_section(path)
    from histoscribe.slide import open_slide

    return open_slide(path)


def _single(path: PathOrPaths) -> Path | None:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None


def _is_space_ranger(path: Path) -> bool:
    if not path.is_dir():
        return False
    roots = [root for root in (path, path / "outs") if root.is_dir()]
    return any(True for root in roots for mark in _FOLDER_MARKS for _ in root.glob(mark))


def _is_pyramid(file: Path) -> bool:
    """Whether a TIFF is a tiled 8-bit RGB image of slide size, from its first header alone."""
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages.first
            large = page.imagewidth * page.imagelength > 4_000_000
            return page.is_tiled and large and page.samplesperpixel == 3 and page.bitspersample == 8
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, KeyError):
        return False


def _has_positions(file: Path) -> bool:
    import h5py

    try:
        with h5py.File(file, "r") as content:
            return "spatial" in content.get("obsm", ())
    except OSError:
        return False
