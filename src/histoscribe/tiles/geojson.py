"""Regions from and to the GeoJSON files that QuPath exchanges."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.errors import RegionError
from histoscribe.files import replacing
from histoscribe.tiles.regions import UNCLASSIFIED, Colour, Region

_MOST_BYTES = 2**26
_MOST_PARSED = 700 * 2**20
"""Bytes that a file may take once parsed: 72 for each list or object, 40 for each further value."""
_MOST_POINTS = 1_000_000
_REMEDY = "export the annotations again from QuPath as GeoJSON"
_SIMPLIFY = "export only the regions that you need, simplified"


def read_regions(path: str | os.PathLike[str]) -> list[Region]:
    """Read every polygon of a GeoJSON file; points and lines are passed over.

    Parameters
    ----------
    path : str or path
        A FeatureCollection, a list of features, one feature or one geometry (RFC 7946), with
        coordinates in full-resolution pixels as (x, y), as QuPath writes them. Class and colour come from
        `properties.classification` (`name` or `names`, `color` or the older `colorRGB`).

    Returns
    -------
    list of Region
        One per polygon: an annotation of several parts gives several regions of the same class.

    Raises
    ------
    RegionError
        If the file is missing, too large, not GeoJSON, or holds no area.
    """
    path = Path(path)
    content = _parsed(path)
    try:
        regions = [
            Region(name, colour, _xy(rings[0]), tuple(_xy(ring) for ring in rings[1:]), label)
            for rings, (name, colour, label) in _polygons(content, ("", UNCLASSIFIED, ""))
        ]
    except (ValueError, TypeError, RecursionError, OverflowError, RegionError) as error:
        problem = error.problem if isinstance(error, RegionError) else str(error)
        raise RegionError(
            f"a region in it is damaged ({problem})" if problem else "a region in it is damaged",
            where=path,
            remedy=_REMEDY,
        ) from error
    if not regions:
        raise RegionError("it holds no area", where=path, remedy="draw a polygon, rectangle or ellipse")
    if sum(len(ring) for region in regions for ring in (region.polygon, *region.holes)) > _MOST_POINTS:
        raise RegionError(
            f"its outlines have more than {_MOST_POINTS:,} points",
            where=path,
            remedy="simplify them in QuPath",
        )
    return regions


def write_regions(regions: Iterable[Region], path: str | os.PathLike[str]) -> Path:
    """Write regions as a GeoJSON file that QuPath reads, and `read_regions` gives back as they were.

    Parameters
    ----------
    regions : iterable of Region
        Each becomes an annotation with `classification {name, color}`.
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
    content = {"type": "FeatureCollection", "features": [_feature(region) for region in regions]}
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    return Path(path)


def _feature(region: Region) -> dict[str, Any]:
    rings = [np.concatenate((ring, ring[:1]))[:, ::-1].tolist() for ring in (region.polygon, *region.holes)]
    properties: dict[str, Any] = {"objectType": "annotation"}
    if region.label:
        properties["name"] = region.label
    if region.name:
        properties["classification"] = {"name": region.name, "color": list(region.colour)}
    else:
        properties["color"] = list(region.colour)
    geometry = {"type": "Polygon", "coordinates": rings}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _parsed(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise RegionError(
                f"{size / 2**20:.0f} MB are too much for drawn regions", where=path, remedy=_SIMPLIFY
            )
        text = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RegionError(f"cannot be read ({reason})", where=path, remedy="check the path") from error
    if 72 * (text.count(b"[") + text.count(b"{")) + 40 * text.count(b",") > _MOST_PARSED:
        raise RegionError("it holds far more values than drawn regions have", where=path, remedy=_SIMPLIFY)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegionError("not a GeoJSON file", where=path, remedy=_REMEDY) from error


Described = tuple[str, Colour, str]


def _polygons(content: Any, described: Described) -> Iterator[tuple[list[Any], Described]]:
    """Every polygon in a piece of GeoJSON: its rings, and its class, colour and label."""
    if isinstance(content, list):
        for item in content:
            yield from _polygons(item, described)
        return
    if not isinstance(content, dict):
        raise ValueError("a feature is not an object")
    match content.get("type"):
        case "FeatureCollection":
            yield from _polygons(_listed(content, "features"), described)
        case "Feature":
            if content.get("geometry") is not None:
                yield from _polygons(content["geometry"], _described(content.get("properties")))
        case "GeometryCollection":
            yield from _polygons(_listed(content, "geometries"), described)
        case "Polygon":
            yield _rings(_listed(content, "coordinates")), described
        case "MultiPolygon":
            yield from ((_rings(polygon), described) for polygon in _listed(content, "coordinates"))
        case "Point" | "MultiPoint" | "LineString" | "MultiLineString":
            return
        case kind:
            raise ValueError(f"{kind!r:.60} is no kind of GeoJSON")


def _listed(content: dict[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{content.get('type')} without {key}")
    return value


def _rings(rings: Any) -> list[Any]:
    if not isinstance(rings, list) or not rings:
        raise ValueError("a polygon has no outline")
    return rings


def _xy(ring: Any) -> Any:
    """The points of a ring as (row, column); heights are dropped."""
    points = np.asarray(ring, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 2:
        raise ValueError("a point is not two finite numbers")
    return points[:, 1::-1]


def _described(properties: Any) -> Described:
    """Class, colour and label; whatever is written otherwise counts as absent."""
    found = properties if isinstance(properties, dict) else {}
    kind = found.get("classification")
    kind = kind if isinstance(kind, dict) else {}
    names = kind.get("names")
    name = ": ".join(map(str, names)) if isinstance(names, list) else kind.get("name")
    label = found.get("name")
    return (
        name if isinstance(name, str) else "",
        _colour(kind) or _colour(found) or UNCLASSIFIED,
        label if isinstance(label, str) else "",
    )


def _colour(holder: dict[str, Any]) -> Colour | None:
    match holder.get("color"), holder.get("colorRGB"):
        case [int(red), int(green), int(blue)], _ if all(0 <= part <= 255 for part in (red, green, blue)):
            return red, green, blue
        case _, int(packed) if -(2**31) <= packed < 2**32:
            return packed >> 16 & 255, packed >> 8 & 255, packed & 255
    return None
