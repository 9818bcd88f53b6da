"""Slides that OpenSlide reads: Hamamatsu (NDPI, VMS), MIRAX, Ventana BIF, Zeiss CZI, DICOM and others."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import DependencyError, HistoscribeError, SlideError, told_as
from histoscribe.slide.colour import to_rgb
from histoscribe.slide.model import AssociatedImages, Slide
from histoscribe.slide.openslide.handles import Handles, library, try_out
from histoscribe.slide.pixels import COPY_AGAIN, check_associated
from histoscribe.slide.pyramid import Level
from histoscribe.slide.scale import believable, positive
from histoscribe.slide.tiled import TiledPixels

_DICOM, _DICOM_HEAD = b"DICM", 1 << 16
_SERIES = re.compile(rb"\x20\x00\x0e\x00(?:UI..|..\x00\x00)([0-9.]{1,64})", re.DOTALL)
_IMAGE_TYPE = re.compile(rb"\x08\x00\x08\x00(?:CS..|..\x00\x00)([A-Z0-9_ \\]+)", re.DOTALL)
"""Series instance UID and image type (PS3.6), with or without their value representation."""
_MIRAX_INDEX = "Slidedat.ini"
_TILE = 512  # read where the file states no sensible tiles
_SENSIBLE = range(64, 1025)
_MOST_FILES = 1000  # of a folder that are looked at
_MOST_LEVELS = 64
_VENDORS = {"dicom": "DICOM", "generic-tiff": "", "mirax": "3DHISTECH"}  # others are capitalised


def read(path: Path) -> Slide:
    """Open a slide with the levels that OpenSlide finds.

    Raises `SlideError` if OpenSlide cannot open or decode it; `DependencyError` if OpenSlide is missing
    or too old.
    """
    file = file_in(path) if path.is_dir() else path
    assert file is not None
    library()
    try_out(file)
    handles = Handles(file)
    failed = library().OpenSlideError
    with told_as(SlideError, "a damaged slide", failed, where=file, remedy=COPY_AGAIN):
        properties, extents, factors = handles.use(
            lambda handle: (
                # the name of a damaged property may find no value
                {name: found for name in handle.properties if (found := handle.properties.get(name))},
                list(handle.level_dimensions),
                [float(factor) for factor in handle.level_downsamples],
            )
        )
    if not 1 <= len(extents) <= _MOST_LEVELS:
        raise SlideError(f"claims {len(extents)} levels", where=path, remedy=COPY_AGAIN)
    levels = []
    for number, ((columns, rows), factor) in enumerate(zip(extents, factors, strict=True)):
        if rows < 1 or columns < 1:
            raise SlideError(f"level {number} has no pixels", where=path, remedy=COPY_AGAIN)
        stated = f"openslide.level[{number}].tile-"
        sides = [positive(properties.get(stated + side)) for side in ("height", "width")]
        height, width = (int(side) if side and int(side) in _SENSIBLE else _TILE for side in sides)
        pixels = OpenSlidePixels(handles, path, number, rows, columns, factor, (height, width))
        pixels.probe()
        levels.append(Level(pixels, factor))
    across, down = (positive(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
    objective = positive(properties.get("openslide.objective-power"))
    mpp, doubts = believable((across, down) if across and down else None, objective)
    vendor = str(properties.get("openslide.vendor", ""))
    profile = partial(handles.use, lambda handle: bytes(handle.color_profile.tobytes()))
    return Slide(
        path=path,
        levels=tuple(levels),
        mpp=mpp,
        vendor=_VENDORS.get(vendor, vendor.capitalize()),
        objective=objective,
        warnings=doubts,
        associated=_associated(path, handles, properties),
        profile=profile if positive(properties.get("openslide.icc-size")) else None,
    )


def _associated(path: Path, handles: Handles, properties: Mapping[str, str]) -> AssociatedImages:
    stem = "openslide.associated."
    wide = [key for key in properties if key.startswith(stem) and key.endswith(".width")]
    names = sorted(key[len(stem) : -len(".width")] for key in wide)

    def show(name: str) -> NDArray[np.uint8]:
        rows, columns = (positive(properties.get(f"{stem}{name}.{side}")) for side in ("height", "width"))
        check_associated(int(rows or 0), int(columns or 0), name, path)
        problem, failed = f"its {name} image cannot be read", library().OpenSlideError
        with told_as(SlideError, problem, failed, where=path, remedy=COPY_AGAIN):
            return to_rgb(np.asarray(handles.use(lambda handle: handle.associated_images[name])))

    return {name: partial(show, name) for name in names}


def file_in(folder: Path) -> Path | None:
    """The file that stands for a folder: its largest DICOM file, or the `.mrxs` beside a MIRAX folder.

    Raises `SlideError` if the DICOM files are those of several slides.
    """
    if (folder / _MIRAX_INDEX).is_file():
        beside = folder.with_name(f"{folder.name}.mrxs")
        return beside if beside.is_file() else None
    largest: tuple[int, Path] | None = None
    slides: dict[bytes, str] = {}
    for _, file in zip(range(_MOST_FILES), sorted(folder.iterdir()), strict=False):
        head = _dicom_head(file) if file.is_file() else b""
        if not head:
            continue
        largest = max(largest or (-1, file), (file.stat().st_size, file))
        series, shown = _SERIES.search(head), _IMAGE_TYPE.search(head)
        if series is not None and shown is not None and b"VOLUME" in shown[1]:
            slides.setdefault(series[1], file.name)
    if len(slides) > 1:
        names = ", ".join(list(slides.values())[:5])
        problem = f"{len(slides)} slides lie in this folder ({names})"
        raise SlideError(problem, where=folder, remedy="name a file of the one that is meant")
    return None if largest is None else largest[1]


def _dicom_head(file: Path) -> bytes:
    """The beginning of a DICOM file; nothing of another one."""
    try:
        with file.open("rb") as stream:
            head = stream.read(_DICOM_HEAD)
    except OSError:
        return b""
    return head if head[128:132] == _DICOM else b""


def is_foreign_tiff(path: Path) -> bool:
    """Whether a TIFF is Hamamatsu's or Ventana's, whose tiles tifffile does not know how to place."""
    from tifffile import TiffFile

    try:
        with TiffFile(path, _multifile=False) as tif:
            return bool(len(tif.pages)) and bool(tif.is_ndpi or tif.is_bif)
    except Exception:  # a damaged directory may fail anywhere; the TIFF backend says how
        return False


def is_known_to_openslide(path: Path) -> bool:
    """Whether OpenSlide is installed and takes a file for a slide."""
    try:
        return library().OpenSlide.detect_format(path) is not None
    except DependencyError:
        return False
    except (library().OpenSlideError, HistoscribeError):
        return False


class OpenSlidePixels(TiledPixels):
    """One level, read tile by tile on a fixed grid, so that a pixel's value does not depend on the read.

    OpenSlide places a read by full-resolution pixels; on a level whose factor is not whole it would
    shift by a fraction of a pixel with the corner.

    `number`: which level; `factor`: full-resolution pixels per pixel; `tile`: rows and columns of one tile.
    """

    def __init__(
        self,
        handles: Handles,
        path: Path,
        number: int,
        rows: int,
        columns: int,
        factor: float,
        tile: tuple[int, int],
    ) -> None:
        super().__init__(rows, columns, tile, path)
        self._handles, self._number, self._factor = handles, number, factor

    def read_tile(self, row: int, column: int) -> NDArray[np.uint8]:
        """See `TiledPixels.read_tile`."""
        top, left = row * self._tile[0], column * self._tile[1]
        height, width = (
            min(tile, side - at) for tile, side, at in zip(self._tile, self.shape, (top, left), strict=False)
        )
        corner = round(left * self._factor), round(top * self._factor)
        image = self._handles.use(lambda handle: handle.read_region(corner, self._number, (width, height)))
        return np.ascontiguousarray(to_rgb(np.asarray(image)))
