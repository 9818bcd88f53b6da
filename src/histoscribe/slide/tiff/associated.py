"""What a TIFF holds beside the tissue: label, macro image, thumbnail, ICC profile; read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError, reason_of
from histoscribe.slide.colour import to_rgb
from histoscribe.slide.model import AssociatedImages
from histoscribe.slide.orientation import upright
from histoscribe.slide.pixels import COPY_AGAIN, check_associated
from histoscribe.slide.tiff.metadata import orientation_of
from histoscribe.slide.tiff.segments import FileBytes, check_segments

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

_NAMES = {"label": "label", "macro": "macro", "thumbnail": "thumbnail", "map": "macro"}
_MOST_PROFILE = 2**24  # bytes


def associated_images(tif: TiffFile, main: int, path: Path) -> AssociatedImages:
    """Find label, macro image and thumbnail among the series of a file.

    `main`: which series is the tissue; `path`: the file, opened anew when an image is asked for.
    """
    found: dict[str, Callable[[], NDArray[np.uint8]]] = {}
    for index, series in enumerate(tif.series):
        if index == main:
            continue
        words = series.name.lower().split()
        name = _NAMES.get(words[0] if words else "")
        if tif.is_scn and index == 0:
            name = "macro"  # Leica's first image shows the whole glass
        if name is not None and name not in found:
            found[name] = partial(_picture, path, index, name)
    return found


def profile_of(page: TiffPage, path: Path, index: int) -> Callable[[], bytes] | None:
    """What reads the ICC profile of a series' first page; None where there is none of sensible size."""
    tag = page.tags.get("InterColorProfile")
    return partial(_profile, path, index) if tag is not None and 0 < tag.count <= _MOST_PROFILE else None


def _picture(path: Path, index: int, name: str) -> NDArray[np.uint8]:
    with _series(path, index, f"{name} image") as series:
        page = series.keyframe
        check_associated(page.imagelength, page.imagewidth, name, path)
        check_segments(series, FileBytes(path))
        pixels = np.asarray(page.asrgb() if page.photometric == 3 else page.asarray())
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
            raise ValueError(f"{pixels.dtype} of shape {pixels.shape}")
        return np.ascontiguousarray(upright(to_rgb(pixels), orientation_of(page)))


def _profile(path: Path, index: int) -> bytes:
    with _series(path, index, "ICC profile") as series:
        return bytes(series.keyframe.tags["InterColorProfile"].value)


@contextmanager
def _series(path: Path, index: int, what: str) -> Iterator[TiffPageSeries]:
    """A series of the file, opened anew; whatever fails in the block is a `SlideError`."""
    from tifffile import TiffFile

    try:
        with TiffFile(path, _multifile=False) as tif:
            yield tif.series[index]
    except SlideError:
        raise
    except Exception as error:  # a damaged directory may fail anywhere inside tifffile
        raise SlideError(
            f"its {what} cannot be read ({reason_of(error)})", where=path, remedy=COPY_AGAIN
        ) from error
