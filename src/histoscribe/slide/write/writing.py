"""Writing a slide: as a pyramidal OME-TIFF or as OME-Zarr 0.5, told by the ending."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError
from histoscribe.files import replacing
from histoscribe.progress import Progress
from histoscribe.slide.colour import profile_bytes
from histoscribe.slide.model import Slide
from histoscribe.slide.pixels import PixelArray
from histoscribe.slide.write.ome_zarr import write_ome_zarr

_TIFF_ENDINGS = (".tif", ".tiff")
_ZARR_ENDING = ".zarr"
_TILE = 512
_STRIDE = 4 * _TILE  # side of what is read at once
_CLASSIC = 3 * 2**30  # bytes of pixels that surely fit where offsets have 32 bits
_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def write_slide(
    slide: Slide,
    path: str | os.PathLike[str],
    *,
    quality: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a slide with all its levels; whole or not at all.

    Pixels, µm per pixel, level factors, objective, maker and ICC profile come back as they were; label and
    macro image are left out, because a label may name the patient. A slide whose finest level is a reduced
    image becomes one whose full resolution is that image.

    Parameters
    ----------
    path : path
        Ends in `.tif` or `.tiff` (OME-TIFF) or `.zarr` (OME-Zarr 0.5).
    quality : int, optional
        1 to 100: compress as JPEG, smaller and with loss. Without it, nothing is lost. OME-TIFF only.
    progress : Progress, optional
        Told about tiles; a cancelled OME-Zarr goes on from there when it is written again.

    Raises
    ------
    SettingError
        If the ending or the quality is not possible.
    SlideError
        If the slide cannot be read.
    StorageError
        If there is no room, or no permission.
    Cancelled
        If `progress` says so.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if quality is not None and not 1 <= quality <= 100:
        raise SettingError(f"a JPEG quality of {quality} is not possible", remedy="give 1 to 100")
    if ending not in (*_TIFF_ENDINGS, _ZARR_ENDING):
        problem = "a slide is written as OME-TIFF or OME-Zarr"
        raise SettingError(problem, where=target, remedy="let the name end in .ome.tif or .ome.zarr")
    source, outer = slide.path.resolve(), target.resolve()
    if not slide.url and outer in (source, *source.parents):
        raise SettingError("the slide would replace itself", where=target, remedy="choose another name")
    if ending == _ZARR_ENDING:
        if quality is not None:
            problem = "OME-Zarr is written without loss"
            raise SettingError(problem, where=target, remedy="leave the quality out, or write .ome.tif")
        write_ome_zarr(slide, target, progress=progress)
    else:
        write_ome_tiff(slide, target, quality=quality, progress=progress)
    return target


def write_ome_tiff(
    slide: Slide, path: Path, *, quality: int | None = None, progress: Progress | None = None
) -> None:
    """Write all levels of a slide into one OME-TIFF, atomically; see `write_slide`."""
    import tifffile

    progress = progress or Progress()
    shapes = [level.shape for level in slide.levels]
    total = sum(math.ceil(rows / _TILE) * math.ceil(columns / _TILE) for rows, columns in shapes)
    packing: dict[str, Any] = {"compression": "adobe_deflate", "predictor": True}
    if quality is not None:
        packing = {"compression": "jpeg", "compressionargs": {"level": quality}}
    done = 0
    size = 3 * sum(rows * columns for rows, columns in shapes)
    with replacing(path) as fresh, tifffile.TiffWriter(fresh, bigtiff=size > _CLASSIC) as tiff:
        for number, level in enumerate(slide.levels):
            factor = level.downsample / slide.levels[0].downsample
            tiff.write(
                _tiles(level.pixels, progress, done, total),
                shape=(*level.shape, 3),
                dtype=np.uint8,
                tile=(_TILE, _TILE),
                photometric="rgb",
                **packing,
                **_scale(slide, factor),
                description=None if number else _description(slide),
                subifds=0 if number else len(slide.levels) - 1,
                subfiletype=1 if number else 0,
                iccprofile=None if number else profile_bytes(slide),
                software="histoscribe",
                metadata=None,
            )
            done += math.ceil(level.shape[0] / _TILE) * math.ceil(level.shape[1] / _TILE)
    progress.report("writing OME-TIFF", total, total)


def _tiles(pixels: PixelArray, progress: Progress, done: int, total: int) -> Iterator[NDArray[np.uint8]]:
    """Whole tiles in the order of the file; what lies beyond the edge repeats it."""
    rows, columns = pixels.shape[:2]
    for top in range(0, rows, _TILE):
        for left in range(0, columns, _STRIDE):
            progress.report("writing OME-TIFF", done, total)
            strip = pixels[top : min(top + _TILE, rows), left : min(left + _STRIDE, columns)]
            for start in range(0, strip.shape[1], _TILE):
                tile = strip[:, start : start + _TILE]
                missing = _TILE - tile.shape[0], _TILE - tile.shape[1]
                if any(missing):
                    tile = np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
                yield np.ascontiguousarray(tile)
                done += 1


def _scale(slide: Slide, factor: float) -> dict[str, Any]:
    """Resolution tags: per centimetre, or of no unit where µm are unknown; their ratio is the factor."""
    if slide.mpp is None:
        return {"resolution": (1e4 / factor, 1e4 / factor), "resolutionunit": "NONE"}
    per_cm = 1e4 / (slide.mpp * slide.levels[0].downsample * factor)
    return {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}


def _description(slide: Slide) -> bytes:
    """The OME-XML of one RGB image, with its scale, objective and maker."""
    rows, columns = slide.levels[0].shape
    root = ElementTree.Element("OME", {"xmlns": _NAMESPACE, "Creator": "histoscribe"})
    if slide.vendor or slide.objective:
        instrument = ElementTree.SubElement(root, "Instrument", {"ID": "Instrument:0"})
        if slide.vendor:
            ElementTree.SubElement(instrument, "Microscope", {"Manufacturer": slide.vendor})
        if slide.objective:
            about = {"ID": "Objective:0", "NominalMagnification": repr(float(slide.objective))}
            ElementTree.SubElement(instrument, "Objective", about)
    image = ElementTree.SubElement(root, "Image", {"ID": "Image:0", "Name": slide.name})
    if slide.vendor or slide.objective:
        ElementTree.SubElement(image, "InstrumentRef", {"ID": "Instrument:0"})
    if slide.objective:
        ElementTree.SubElement(image, "ObjectiveSettings", {"ID": "Objective:0"})
    extent = {"SizeX": columns, "SizeY": rows, "SizeC": 3, "SizeZ": 1, "SizeT": 1}
    about = {"ID": "Pixels:0", "DimensionOrder": "XYCZT", "Type": "uint8", "Interleaved": "true"}
    about |= {name: str(value) for name, value in extent.items()}
    if slide.mpp is not None:
        um = repr(float(slide.mpp * slide.levels[0].downsample))
        for axis in "XY":
            about |= {f"PhysicalSize{axis}": um, f"PhysicalSize{axis}Unit": "µm"}
    pixels = ElementTree.SubElement(image, "Pixels", about)
    ElementTree.SubElement(pixels, "Channel", {"ID": "Channel:0:0", "SamplesPerPixel": "3"})
    ElementTree.SubElement(pixels, "TiffData", {"IFD": "0", "PlaneCount": "1"})
    return bytes(ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True))
