"""Images that a table holds or names, or that lie beside it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.bounds.content import unpacked
from histoscribe.bounds.hdf5 import hdf5_part, opened_hdf5
from histoscribe.errors import HistoscribeError, SectionError, SlideError
from histoscribe.formats import find
from histoscribe.record import SlideReference
from histoscribe.section.alignment import SAME_SIZE, opened, rebased
from histoscribe.section.readers.visium_hd import run_folder
from histoscribe.section.scale import number_in
from histoscribe.slide import Level, Slide
from histoscribe.slide.colour import GREY, TRANSPARENT, to_rgb, upper_bytes
from histoscribe.slide.identity import HELD_IN_H5AD, refer_to
from histoscribe.slide.resample import Window

IMAGE_BYTES = 256 << 20
_LOOKED_AT, _MOST_PIXELS, _ACROSS = 50, 1 << 26, 200
"""Files of a folder, pixels of a coarsest level, and pixels across of the pictures that are compared."""
_ALIKE = 0.9
"""Correlation of two pictures of one image."""
_IMAGES = (
    ("fullres", "tissue_fullres_scalef"),
    ("downscaled_fullres", "tissue_downscaled_fullres_scalef"),
    ("hires", "tissue_hires_scalef"),
    ("lowres", "tissue_lowres_scalef"),
)


def held_image(entry: Mapping[str, Any], path: Path) -> tuple[Slide | None, list[str]]:
    """The finest image within an entry of `uns["spatial"]`, in full-resolution pixels, and what is doubtful.

    Colours are bytes, 16-bit numbers, or fractions of 1 as matplotlib reads them, what is transparent is
    laid on white. Raises `SectionError` if two images state different sizes of the full one.
    """
    images, scales = entry.get("images", {}), entry.get("scalefactors", {})
    if not isinstance(images, Mapping) or not isinstance(scales, Mapping):
        return None, []
    found: list[tuple[str, Slide]] = []
    doubts: list[str] = []
    for kind, key in _IMAGES:
        image = np.asarray(images[kind]) if kind in images else None
        scale = number_in(scales, key, path)
        if not scale or image is None:
            continue
        said = [TRANSPARENT] if image.ndim == 3 and image.shape[2] == 4 else []
        if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
            image, said = np.stack([image.reshape(image.shape[:2])] * 3, axis=-1), [GREY]
        if image.dtype.kind in "iu" and image.size and 0 <= image.min() <= image.max() <= 255:
            image = image.astype(np.uint8)
        numbers = image.dtype in (np.uint8, np.uint16) or (
            image.dtype.kind == "f" and np.isfinite(image).any()
        )
        if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size or not numbers:
            doubts.append(f"the {kind} image is {image.shape} {image.dtype}, no RGB, and was left out")
            continue
        try:
            pixels = _as_bytes(image, path)
        except SlideError as error:
            doubts.append(f"the {kind} image was left out: {error.problem}")
            continue
        slide = in_memory(pixels, 1 / scale, path, HELD_IN_H5AD)
        found.append((kind, replace(slide, warnings=tuple(said))))
    refuse_unequal(found, path)
    return (found[0][1] if found else None), list(dict.fromkeys(doubts))


def refuse_unequal(images: list[tuple[str, Slide]], path: Path) -> None:
    """Refuse reduced images that state different sizes of the full one: one of them was replaced."""
    for (one, first), (other, second) in pairwise(images):
        full, beside = first.shape, second.shape
        rounding = max(1 / side for side in second.levels[0].shape)
        if any(abs(a / b - 1) > SAME_SIZE + rounding for a, b in zip(full, beside, strict=True)):
            raise SectionError(
                f"the {one} and {other} images contradict each other: by their scales the full image has "
                f"{full[0]} × {full[1]} or {beside[0]} × {beside[1]} pixels",
                where=path,
                remedy="put the run's own images back, or name the full-resolution image",
            )


def _as_bytes(image: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """RGB as bytes; what is transparent is laid on white."""
    if image.dtype.kind == "f":
        full = 255.0 if np.nanmax(image[..., :3]) <= 1.5 else 1.0
        image = np.nan_to_num(np.clip(image * full, 0, 255)).round()
    elif image.dtype == np.uint16:
        image = upper_bytes(image, path)
    return to_rgb(image.astype(np.uint8))


def in_memory(pixels: NDArray[np.uint8], downsample: float, path: Path, vendor: str = "plain image") -> Slide:
    """A slide of one level over pixels that are at hand."""
    import zarr

    rows, columns, _ = pixels.shape
    chunks = (min(rows, 512), min(columns, 512), 3)
    array: Any = zarr.create_array(store={}, data=np.ascontiguousarray(pixels), chunks=chunks)
    return Slide(path=path, levels=(Level(array, downsample),), vendor=vendor)


def opened_packed(path: Path) -> Slide:
    """An image's file; a gzipped one as the file that it was packed from, kept in memory."""
    if path.suffix != ".gz":
        return opened(path)
    with unpacked(path, IMAGE_BYTES) as plain:
        slide = opened(plain)
        pixels = np.asarray(slide.levels[0].pixels[:])
    return replace(in_memory(pixels, 1.0, path), warnings=slide.warnings)


def full_image(reduced: Slide) -> Slide | None:
    """The slide in a run's own folder that its reduced image was made from, if one has its size and its look.

    `reduced`: in full-resolution pixels, where it was read from.
    """
    folder, factor = reduced.path.resolve().parent, reduced.levels[0].downsample
    folder = folder.parent if folder.name == "spatial" else folder
    files = (path for one in {folder, run_folder(folder)} for path in sorted(one.glob("[!.]*")))
    found = []
    for path in islice((path for path in files if path.is_file()), _LOOKED_AT):
        with suppress(HistoscribeError):
            if factor > 1 and find(path, "slide") is not None:
                found.append(opened(path))
    sides = np.asarray(reduced.levels[0].shape)
    found = [one for one in found if (np.abs(np.asarray(one.shape) / factor - sides) <= 1).all()]
    with suppress(SlideError):
        found = [one for one in found if _alike(one, reduced)]
        return found[0] if len(found) == 1 else None
    return None


def _alike(one: Slide, other: Slide) -> bool:
    """Whether two slides of one size show the same; not told of a level that is too large to be read."""
    if any(np.prod(slide.levels[-1].shape) > _MOST_PIXELS for slide in (one, other)):
        return False
    pixel = max(one.shape) / _ACROSS
    whole = (slide.with_mpp(1.0).read(Window(0, 0, *one.shape), pixel) for slide in (one, other))
    first, second = (picture.astype(np.float64).ravel() for picture in whole)
    if not np.ptp(first) or not np.ptp(second):
        return False
    return float(np.asarray(np.corrcoef(first, second))[0, 1]) > _ALIKE


def named_slide(reference: SlideReference | None, path: Path) -> tuple[Slide | None, list[str]]:
    """The slide that our own file names, where it lies and holds what it held.

    It is looked for from the file's own folder, then at its absolute place. An older file does not say what
    its slide holds: then it is opened only within the file's folder or below.

    `path` is the file that names it; the warnings say why there is none, and what was found in its place.
    """
    if reference is None:
        return None, []
    folder, named = path.resolve().parent, reference.relative or reference.path
    places = [folder / reference.relative] if reference.relative else []
    places += [Path(reference.path)] if reference.path else []
    if any("://" in str(place) or str(place).startswith(("//", "\\\\")) for place in (named, *places)):
        return None, [f"its slide {named} lies on another machine and was not opened: name it yourself"]
    doubts: list[str] = []
    for place in dict.fromkeys(place.resolve() for place in places):
        if not reference.sha256 and not place.is_relative_to(folder):
            said = f"its slide {named} lies outside the file's folder and was not opened: name it yourself"
            return None, [said]
        if place == path.resolve() or not (place.is_file() or place.is_dir()):
            continue
        try:
            slide = _opened_as(reference, place)
            found = refer_to(slide) if reference.sha256 else None
        except HistoscribeError as error:
            doubts.append(f"its slide {place} cannot be read ({error.problem})")
            continue
        if found is not None and found.sha256 != reference.sha256:
            doubts.append(
                f"{place} is not the slide that the spots were placed on (it holds something else) and was "
                "not laid beneath them"
            )
            continue
        doubts = [] if found is not None else ["what its slide held is not stated: it was taken by its name"]
        return rebased(slide, reference.downsample), doubts
    return None, doubts or [f"its slide {named} is no longer there: name it in a cohort's column slide"]


def unlike_named(slide: Slide, reference: SlideReference | None) -> list[str]:
    """What is doubtful where a slide is laid beneath spots whose file names another one."""
    if reference is None or not reference.sha256 or reference.held:
        return []
    found = refer_to(slide)
    if found is None or found.sha256 == reference.sha256:
        return []
    was = PurePath(reference.path or reference.relative).name
    return [
        f"{slide.name} does not hold what {was} did, which the spots were placed on: is it the same tissue?"
    ]


def _opened_as(reference: SlideReference, place: Path) -> Slide:
    """What lies at a place: a slide, or the image that a section's file holds."""
    if not reference.held:
        return opened_packed(place)
    from anndata.io import read_elem

    with opened_hdf5(place, whole=False) as file:
        part = hdf5_part(file, "uns/spatial", place)
        spatial = {} if part is None else read_elem(part)
    entries = [entry for entry in spatial.values() if isinstance(entry, Mapping)]
    found = held_image(entries[0], place)[0] if len(entries) == 1 else None
    if found is None:
        raise SlideError("holds no image", where=place)
    return found
