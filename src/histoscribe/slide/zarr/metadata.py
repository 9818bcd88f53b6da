"""What an OME-Zarr image says of itself (OME-NGFF 0.1 to 0.5): its levels, their scale, its colours."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from histoscribe.errors import SlideError, told_as
from histoscribe.slide.pixels import COPY_AGAIN
from histoscribe.slide.scale import um_of
from histoscribe.slide.zarr.array import MOST_TEXT
from histoscribe.slide.zarr.place import Place

OWN = "histoscribe"
"""Under this name stands what OME-NGFF has no place for: maker, objective, ICC profile, completeness."""

_OLD_AXES = ("t", "c", "z", "y", "x")
_SAFE_PART = re.compile(r"[^/\\:\x00]+")
_MOST_LEVELS = 64


@dataclass(frozen=True)
class OmeLevel:
    """One resolution."""

    path: str
    """Of its array within the store."""
    scale: tuple[float, float] | None
    """Extent of a pixel along y and x, in µm where the axes' units are stated; None where it is not."""


@dataclass(frozen=True)
class OmeImage:
    """One multiscale image."""

    axes: tuple[str, ...]
    """Names of the array's axes, in order."""
    levels: tuple[OmeLevel, ...]
    """Finest first."""
    in_um: bool
    """Whether the units of both spatial axes are stated."""
    colours: tuple[str, ...]
    channels: tuple[str, ...]
    """`colours` and `channels`: hexadecimal colour and name of each channel; empty where they are not
    stated."""
    labels: bool
    """Whether the pixels number objects."""
    own: Mapping[str, Any]
    """What `OWN` says."""


def read_image(place: Place) -> OmeImage | None:
    """Read the description of the image in a store; None where there is none.

    A store in the layout of bioformats2raw stands for its first image. Raises `SlideError` if the
    description is damaged or leads out of the store.
    """
    wrong = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)
    problem = "its OME-Zarr description is damaged"
    with told_as(SlideError, problem, *wrong, where=place.where, remedy=COPY_AGAIN):
        prefix, found = "", _attributes(place, "")
        if "multiscales" not in found and "bioformats2raw.layout" in found:
            prefix, found = "0/", _attributes(place, "0/")
        return _image(found, prefix) if "multiscales" in found else None


def _attributes(place: Place, prefix: str) -> dict[str, Any]:
    text = place.read(f"{prefix}zarr.json", MOST_TEXT)
    if text is not None:
        found: dict[str, Any] = json.loads(text).get("attributes") or {}
        return {**found, **(found.get("ome") or {})}
    text = place.read(f"{prefix}.zattrs", MOST_TEXT)
    return {} if text is None else dict(json.loads(text))


def _image(found: dict[str, Any], prefix: str) -> OmeImage:
    scales = found["multiscales"][0]
    stated = scales.get("axes") or _OLD_AXES
    axes = tuple(str(axis["name"] if isinstance(axis, dict) else axis) for axis in stated)
    if len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes):
        raise ValueError(f"axes {axes}")
    datasets = scales["datasets"]
    if not 1 <= len(datasets) <= _MOST_LEVELS:
        raise ValueError(f"{len(datasets)} resolutions")
    whole = _scale(scales.get("coordinateTransformations"), axes) or (1.0, 1.0)
    described = [axis for axis in stated if isinstance(axis, dict)]
    um = {axis.get("name"): um_of(axis.get("unit")) for axis in described}
    whole = whole[0] * (um.get("y") or 1.0), whole[1] * (um.get("x") or 1.0)
    levels = []
    for dataset in datasets:
        own = _scale(dataset.get("coordinateTransformations"), axes)
        scale = own and (own[0] * whole[0], own[1] * whole[1])
        levels.append(OmeLevel(prefix + _inside(dataset["path"]), scale))
    if all(level.scale is not None for level in levels):  # which tell the finest, whatever order they are in
        levels.sort(key=lambda level: math.prod(level.scale or ()))
    own = found.get(OWN)
    channels = (found.get("omero") or {}).get("channels") or ()
    return OmeImage(
        axes,
        tuple(levels),
        in_um=bool(um.get("y") and um.get("x")),
        colours=tuple(str(channel.get("color", "")).upper() for channel in channels),
        channels=tuple(str(channel.get("label", "a dye")) for channel in channels),
        labels="image-label" in found,
        own=own if isinstance(own, dict) else {},
    )


def _inside(path: str) -> str:
    parts = path.split("/")
    if not all(_SAFE_PART.fullmatch(part) and part not in (".", "..") for part in parts):
        raise ValueError(f"the path {path!r} leads out of the store")
    return path


def _scale(transformations: Sequence[Any] | None, axes: tuple[str, ...]) -> tuple[float, float] | None:
    for step in transformations or ():
        if step.get("type") == "scale" and "scale" in step:
            values = dict(zip(axes, (float(value) for value in step["scale"]), strict=True))
            if all(math.isfinite(values[axis]) and values[axis] > 0 for axis in "yx"):
                return values["y"], values["x"]
    return None
