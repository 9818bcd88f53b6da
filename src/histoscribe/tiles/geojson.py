"""Regions from and to the GeoJSON files that QuPath exchanges."""

import itertools
import json
import os
import re
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.arrays import Wide
from histoscribe.bounds.content import read_bytes
from histoscribe.errors import RegionError
from histoscribe.files import replacing
from histoscribe.slide.scale import um_of
from histoscribe.tiles.regions import UNCLASSIFIED, Colour, Region

_MOST_BYTES = 2**26
_MOST_PARSED = 700 * 2**20
"""Bytes that a file may take once parsed: 72 for each list or object, 40 for each further value."""
_MOST_POINTS = 5_000_000
_PARTS = ("feature", "properties", "geometry")
_FEWEST_ROUND, _ROUND = 8, 0.02
_SEEN = 2000
_HEAD = 10_000
_REMEDY = "export the annotations again from QuPath as GeoJSON"
_OPENED = re.compile(r'\s*\[\s*|[^\0]*?"features"\s*:\s*\[\s*')
"""What stands before the first feature of a collection, or of a list."""
_PARTED = re.compile(r"\s*,\s*")
_SYSTEM = re.compile(rb'"crs"\s*:\s*\{[^{}]{0,200}\{[^{}]{0,200}"name"\s*:\s*"([^"]{1,200})"')
_ON_EARTH = re.compile(r"CRS84|EPSG|WGS", re.IGNORECASE)
_SIMPLIFY = "export only the regions that you need, simplified"
_IN_PIXELS = "export them in full-resolution pixels"
_HEXADECIMAL = re.compile(r"#([0-9a-fA-F]{6})(?:[0-9a-fA-F]{2})?")


class DamagedRegionWarning(UserWarning):
    """An area of an annotation file cannot be used and was left out."""


def read_regions(path: str | os.PathLike[str]) -> list[Region]:
    """Read every polygon of a GeoJSON file; points and lines are passed over.

    An area among others that cannot be used (without an outline, or with fewer than three corners) is left
    out and named in a `DamagedRegionWarning`.

    Parameters
    ----------
    path : str or path
        A FeatureCollection, a list of features, one feature or one geometry (RFC 7946), with
        coordinates in full-resolution pixels as (x, y), as QuPath writes them. Class and colour come from
        `properties.classification` (`name` or `names`, `color` or the older `colorRGB`).

    Returns
    -------
    list of Region
        One per polygon: an annotation of several parts gives several regions of one identity (made up where
        the file states none). What else it says (locked, measurements, metadata, ellipse) is their `other`.

    Raises
    ------
    RegionError
        If the file is missing, too large, not GeoJSON, or holds no area that can be used.
    """
    return parse_regions(read_bytes(Path(path), _MOST_BYTES, RegionError), path)


def parse_regions(text: bytes, path: str | os.PathLike[str]) -> list[Region]:
    """Every polygon of a GeoJSON text; see `read_regions`.

    Parameters
    ----------
    path : str or path
        Where it was read from, for messages.
    """
    if 72 * (text.count(b"[") + text.count(b"{")) + 40 * text.count(b",") > _MOST_PARSED:
        raise RegionError("it holds far more values than drawn regions have", where=path, remedy=_SIMPLIFY)
    regions, problems = [], []
    try:
        nameless = {"name": "", "colour": UNCLASSIFIED}
        polygons = _polygons(_features_in(text), nameless, set())
        for number, (rings, about) in enumerate(polygons, start=1):
            try:
                if isinstance(rings, ValueError):
                    raise rings
                if not isinstance(rings, list) or not rings:
                    raise ValueError("a polygon has no outline")
                polygon, *holes = map(_xy, [rings[0], *filter(None, rings[1:])])
                regions.append(Region(polygon=polygon, holes=tuple(holes), **about))
            except (ValueError, TypeError, OverflowError, RegionError) as error:
                problem = error.problem if isinstance(error, RegionError) else str(error)
                named = ", ".join(filter(None, (about["name"], about.get("label"))))
                whose = f" of {named}" if named else ""
                problems.append(f"area {number}{whose} ({problem})" if problem else f"area {number}")
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RegionError("not a GeoJSON file", where=path, remedy=_REMEDY) from error
    except (ValueError, TypeError) as error:
        raise RegionError(f"a region in it is damaged ({error})", where=path, remedy=_REMEDY) from error
    if problems and not regions:
        raise RegionError(f"a region in it is damaged: {problems[0]}", where=path, remedy=_REMEDY)
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        warnings.warn(
            f"{os.path.basename(path)}: left out as damaged: {', '.join(problems[:3])}{more}",
            DamagedRegionWarning,
            stacklevel=2,
        )
    if not regions:
        raise RegionError("it holds no area", where=path, remedy="draw a polygon, rectangle or ellipse")
    _refuse_system(text, regions, path)
    foreign = b'"objectType"' not in text
    if foreign and all(np.ptp(region.polygon, axis=0).max() < 1 for region in regions):
        problem = "its areas are smaller than a pixel: are these degrees, or parts of the image"
        raise RegionError(problem, where=path, remedy=_IN_PIXELS)
    if foreign and all(region.polygon.max(axis=0).min() < 0 for region in regions):
        problem = "its areas lie above or left of the image: do their rows run upwards"
        raise RegionError(problem, where=path, remedy=f"{_IN_PIXELS}, rows downwards")
    if sum(len(ring) for region in regions for ring in (region.polygon, *region.holes)) > _MOST_POINTS:
        remedy = "simplify them in QuPath"
        raise RegionError(f"its outlines have more than {_MOST_POINTS:,} points", where=path, remedy=remedy)
    return regions


def _refuse_system(text: bytes, regions: Sequence[Region], path: str | os.PathLike[str]) -> None:
    """Refuse a stated coordinate system that is none of pixels, where outlines can lie in it.

    Programs for maps state degrees of whatever they write: outlines beyond what degrees reach are pixels.
    """
    found = _SYSTEM.search(text)
    if found is None:
        return
    name = found[1].decode("utf-8", "replace")
    points = np.concatenate([region.polygon for region in regions])
    degrees = bool((np.abs(points) <= (90, 180)).all())
    if um_of(name) is not None or (degrees and _ON_EARTH.search(name)):
        problem = f"it states its coordinates as {name:.60}, not in pixels"
        raise RegionError(problem, where=path, remedy=_IN_PIXELS)


def write_regions(regions: Iterable[Region], path: str | os.PathLike[str]) -> Path:
    """Write regions as a GeoJSON file that QuPath reads, and `read_regions` gives back as they were.

    Parameters
    ----------
    regions : iterable of Region
        Each becomes an annotation with `classification {name, color}`, those of one identity one together.
    path : str or path
        Where to; what stands there is replaced.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StorageError
        If there is no room, or no permission.
    """
    with replacing(path) as fresh:
        fresh.write_text(regions_text(regions), encoding="utf-8")
    return Path(path)


def regions_text(regions: Iterable[Region]) -> str:
    """Regions as GeoJSON; see `write_regions`."""
    alone = itertools.count()
    annotations = itertools.groupby(
        regions, lambda one: (one.identity or next(alone), one.name, one.colour, one.label, one.other)
    )
    features = [_feature(list(parts)) for _, parts in annotations]
    content = {"type": "FeatureCollection", "features": features}
    return json.dumps(content, ensure_ascii=False)


def is_locked(other: str) -> bool:
    """Whether an annotation is locked, by its `Region.other`."""
    return bool(_read(other)["properties"].get("isLocked"))


def with_lock(other: str, locked: bool) -> str:
    """What an annotation says of itself (`Region.other`), locked or not."""
    found = _read(other)
    found["properties"] |= {"isLocked": locked}
    return _told(found)


def marked_ellipse(other: str) -> str:
    """What an annotation says of itself, and that it is an ellipse."""
    found = _read(other)
    found["geometry"] |= {"isEllipse": True}
    return _told(found)


def _read(other: str) -> dict[str, dict[str, Any]]:
    """The three parts of a feature that an annotation's other words stand in."""
    try:
        found = json.loads(other) if other else {}
    except (ValueError, RecursionError):
        found = {}
    parts = found if isinstance(found, dict) else {}
    return {key: value if isinstance(value := parts.get(key), dict) else {} for key in _PARTS}


def _told(found: Mapping[str, Mapping[str, Any]]) -> str:
    kept = {key: part for key, part in found.items() if part}
    return json.dumps(kept, ensure_ascii=False) if kept else ""


def _is_ellipse(ring: Wide) -> bool:
    """Whether an outline is that of the ellipse in its box, which is all that QuPath keeps of one."""
    half = np.ptp(ring, axis=0) / 2
    if not half.all():
        return False
    squares = np.square((ring - ring.min(axis=0) - half) / half).sum(axis=1)
    return len(ring) >= _FEWEST_ROUND and bool(np.abs(squares - 1).max() < _ROUND)


def _feature(parts: Sequence[Region]) -> dict[str, Any]:
    """The annotation that regions of one identity are."""
    region = parts[0]
    rings = [
        [np.concatenate((ring, ring[:1]))[:, ::-1].tolist() for ring in (one.polygon, *one.holes)]
        for one in parts
    ]
    properties: dict[str, Any] = {"objectType": "annotation"}
    if region.label:
        properties["name"] = region.label
    if region.name:
        properties["classification"] = {"name": region.name, "color": list(region.colour)}
    else:
        properties["color"] = list(region.colour)
    several = len(parts) > 1
    geometry = {
        "type": "MultiPolygon" if several else "Polygon",
        "coordinates": rings if several else rings[0],
    }
    named = {"id": region.identity} if region.identity else {}
    other = _read(region.other)
    if several or region.holes or not _is_ellipse(region.polygon):
        other["geometry"].pop("isEllipse", None)
    properties |= other["properties"]
    geometry |= other["geometry"]
    return {"type": "Feature", **named, "geometry": geometry, "properties": properties, **other["feature"]}


_About = dict[str, Any]
"""What an annotation says of itself: what a `Region` is made with, beside its outline."""


def _features_in(text: bytes) -> Iterator[Any]:
    """What a text holds, feature after feature of a collection; in between other threads have their turn."""
    words, decode = text.decode(json.detect_encoding(text), "surrogatepass"), json.JSONDecoder().raw_decode
    opened = _OPENED.match(words, 0, _HEAD)
    head = words[: opened.end()] if opened else ""
    end = "]" if head.strip() == "[" else "]}"
    try:
        json.loads(head + end)
        feature, at = decode(words, len(head))
    except (ValueError, RecursionError):
        yield json.loads(words)
        return
    yield feature
    while parted := _PARTED.match(words, at):
        feature, at = decode(words, parted.end())
        yield feature
    around = json.loads(f"{head}{words[at:]}")
    if around and (isinstance(around, list) or around["features"]):
        raise json.JSONDecodeError("two features without a comma between them", words, at)
    if around and around.get("type") != "FeatureCollection":
        raise ValueError(f"{around.get('type')!r:.60} is no kind of GeoJSON")


def _polygons(content: Any, about: _About, seen: set[str]) -> Iterator[tuple[Any, _About]]:
    """Every polygon in a piece of GeoJSON: its rings, and what its annotation says of itself."""
    if isinstance(content, (list, Iterator)):
        for item in content:
            yield from _polygons(item, about, seen)
        return
    if not isinstance(content, dict):
        yield ValueError("a feature is not an object"), about
        return
    match content.get("type"):
        case "FeatureCollection":
            yield from _polygons(_listed(content, "features"), about, seen)
        case "Feature":
            if content.get("geometry") is not None:
                yield from _polygons(content["geometry"], _described(content, seen), seen)
        case "GeometryCollection":
            yield from _polygons(_listed(content, "geometries"), about, seen)
        case "Polygon":
            yield content.get("coordinates", ValueError("Polygon without coordinates")), about
        case "MultiPolygon":
            parts = content.get("coordinates")
            if not isinstance(parts, list):
                yield ValueError("MultiPolygon without coordinates"), about
                return
            if len(parts) > 1 and not about.get("identity"):
                made_up = uuid.uuid5(uuid.NAMESPACE_OID, f"{len(seen)} {str(parts)[:_SEEN]}")
                about = {**about, "identity": str(made_up)}
                seen.add(about["identity"])
            yield from ((polygon, about) for polygon in parts)
        case "Point" | "MultiPoint" | "LineString" | "MultiLineString":
            return
        case kind:
            yield ValueError(f"{kind!r:.60} is no kind of GeoJSON"), about


def _listed(content: dict[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{content.get('type')} without {key}")
    return value


def _xy(ring: Any) -> Any:
    """The points of a ring as (row, column); heights are dropped."""
    points = np.asarray(ring, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 2:
        raise ValueError("a point is not two finite numbers")
    return points[:, 1::-1]


def _described(feature: dict[str, Any], seen: set[str]) -> _About:
    """Class, colour, label, identity and the rest; whatever is written otherwise counts as absent."""
    properties, identity = feature.get("properties"), feature.get("id")
    identity = identity if isinstance(identity, str) and identity not in seen else ""
    seen.add(identity)
    found = properties if isinstance(properties, dict) else {}
    kind = found.get("classification")
    if isinstance(kind, str):  # as programs for tables write it: the object as text, or its name alone
        try:
            kind = json.loads(kind)
        except (ValueError, RecursionError):
            kind = {"name": kind}
    kind = kind if isinstance(kind, dict) else {}
    names = kind.get("names")
    name = ": ".join(map(str, names)) if isinstance(names, list) else kind.get("name")
    label, geometry = found.get("name"), feature["geometry"]
    own = ("name", "classification", *(() if kind else ("color", "colorRGB")))
    other = {
        "feature": _without(feature, "type", "id", "geometry", "properties"),
        "properties": _without(found, *own),
        "geometry": _without(geometry, "type", "coordinates", "geometries"),
    }
    if other["properties"].get("objectType") == "annotation":
        del other["properties"]["objectType"]
    return {
        "name": name if isinstance(name, str) else "",
        "colour": _colour(kind) or _colour(found) or UNCLASSIFIED,
        "label": label if isinstance(label, str) else "",
        "identity": identity,
        "other": _told(other),
    }


def _without(holder: Any, *known: str) -> dict[str, Any]:
    return (
        {key: value for key, value in holder.items() if key not in known} if isinstance(holder, dict) else {}
    )


def _colour(holder: dict[str, Any]) -> Colour | None:
    match holder.get("color"), holder.get("colorRGB"):
        case [int(red), int(green), int(blue), *_], _ if all(0 <= part <= 255 for part in (red, green, blue)):
            return red, green, blue
        case str(text), _ if found := _HEXADECIMAL.fullmatch(text):
            red, green, blue = bytes.fromhex(found[1])
            return red, green, blue
        case _, int(packed) if -(2**31) <= packed < 2**32:
            return packed >> 16 & 255, packed >> 8 & 255, packed & 255
    return None
