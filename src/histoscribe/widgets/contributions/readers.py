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
Reader = Callable[[PathOrPaths], list[tuple[Any, ...]]]

NOTHING_MORE = [(None,)]
"""What napari takes for: read, and no layer to add."""

_CERTAIN = {".svs", ".scn", ".qptiff", ".ndpi", ".mrxs", ".bif", ".vms", ".svslide"}
_TIFF = {".tif", ".tiff"}
_SHARED = {".dcm", ".czi"}  # most such files are no slides
_URL = ("http://", "https://", "file://", "s3://", "gs://")
_FOLDER_MARKS = (
    "spatial/tissue_positions*",
    "*feature_bc_matrix*",
    "binned_outputs",
    "segmented_outputs",
    "*feature_slice.h5",
)


def slide_reader(path: PathOrPaths) -> Reader | None:
    """Offer to open a whole-slide image; None for anything else, stacks of files included."""
    if isinstance(path, str) and path.lower().startswith(_URL):
        return read if path.rstrip("/").lower().endswith(".zarr") else None
    file = _single(path)
    if file is None or not file.is_file():
        return None
    ending = file.suffix.lower()
    certain = ending in _CERTAIN or (ending in _TIFF and _is_pyramid(file))
    return read if certain or (ending in _SHARED and _is_known_to_openslide(file)) else None


def folder_reader(path: PathOrPaths) -> Reader | None:
    """Offer to open a Space Ranger, OME-Zarr, SpatialData, DICOM or MIRAX folder; None for any other."""
    folder = _single(path)
    if folder is None or not folder.is_dir():
        return None
    return read if _is_section(folder) or _is_slide_folder(folder) else None


def table_reader(path: PathOrPaths) -> Reader | None:
    """Offer to open an h5ad file that holds positions of spots; None without them."""
    file = _single(path)
    if file is None or file.suffix.lower() != ".h5ad" or not file.is_file():
        return None
    return read if _holds(file, "obsm/spatial") else None


def slices_reader(path: PathOrPaths) -> Reader | None:
    """Offer to open the `feature_slice.h5` of a Visium HD run; None for any other HDF5 file."""
    file = _single(path)
    if file is None or not file.is_file():
        return None
    return read_slices if _holds(file, "feature_slices") else None


def read_slices(path: PathOrPaths) -> list[tuple[Any, ...]]:
    """Open all genes of a `feature_slice.h5` in the preferred bins; the window stays alive meanwhile."""
    from histoscribe.errors import Cancelled
    from histoscribe.section.readers.sliced import open_feature_slice
    from histoscribe.widgets.jobs.tasks import tell
    from histoscribe.widgets.jobs.waiting import waited_for
    from histoscribe.widgets.layers.opened import layers_of
    from histoscribe.widgets.state.preferences import preferences

    file, bin_um = _single(path), preferences().bin_um
    assert file is not None
    try:
        section = waited_for(
            lambda progress: open_feature_slice(file, bin_um=bin_um, progress=progress),
            f"Opening {file.name} in bins of {bin_um:g} µm",
        )
    except Cancelled as error:
        tell(error)
        return NOTHING_MORE
    return layers_of(section)


def read(path: PathOrPaths) -> list[tuple[Any, dict[str, Any], str]]:
    """Open one path as napari layer data; the pixels stay on disk until they are looked at."""
    from histoscribe.widgets.layers.opened import layers_of

    return layers_of(open_any(path if isinstance(path, str | os.PathLike) else path[0]))


def open_any(path: str | os.PathLike[str]) -> Section | Slide:
    """Open a Space Ranger or SpatialData folder or an h5ad file as a section, everything else as a slide.

    Raises
    ------
    HistoscribeError
        If it cannot be read.
    """
    if _is_section(Path(path)) or Path(path).suffix.lower() in (".h5ad", ".h5"):
        from histoscribe.section import open_section
        from histoscribe.section.readers.visium_hd import bin_folders
        from histoscribe.widgets.state.preferences import preferences

        wished = preferences().bin_um
        sizes = {**bin_folders(Path(path)), **bin_folders(Path(path) / "outs")}
        possible = wished in sizes or Path(path).suffix.lower() == ".h5"
        return open_section(Path(path), bin_um=wished if possible else None)
    from histoscribe.slide import open_slide

    return open_slide(path)


def _single(path: PathOrPaths) -> Path | None:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None


def _is_section(path: Path) -> bool:
    if not path.is_dir():
        return False
    if path.suffix.lower() == ".zarr":
        return (path / "tables").is_dir()  # SpatialData
    roots = [root for root in (path, path / "outs") if root.is_dir()]
    return any(True for root in roots for mark in _FOLDER_MARKS for _ in root.glob(mark))


def _is_slide_folder(folder: Path) -> bool:
    """Whether a folder is an OME-Zarr image, or holds the files of one DICOM or MIRAX slide."""
    from histoscribe.errors import HistoscribeError
    from histoscribe.slide.openslide import backend as openslide_files
    from histoscribe.slide.zarr import backend as ome_zarr
    from histoscribe.slide.zarr.metadata import read_image
    from histoscribe.slide.zarr.place import Folder

    try:
        if ome_zarr.accepts(folder, b""):
            return read_image(Folder(folder)) is not None
        file = openslide_files.file_in(folder)
        return file is not None and (file.suffix.lower() == ".mrxs" or _is_known_to_openslide(file))
    except (HistoscribeError, OSError, ValueError):
        return False


def _is_known_to_openslide(file: Path) -> bool:
    from histoscribe.slide.openslide.backend import is_known_to_openslide

    return is_known_to_openslide(file)


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


def _holds(file: Path, part: str) -> bool:
    import h5py

    try:
        with h5py.File(file, "r") as content:
            return part in content
    except OSError:
        return False
