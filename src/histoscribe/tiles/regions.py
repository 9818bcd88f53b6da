"""Drawn regions: the areas of a QuPath GeoJSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import RegionError

_MOST_BYTES = 2**26
_MOST_POINTS = 1_000_000
_REMEDY = "export the annotations again from QuPath as GeoJSON"


def read_regions(path: str | os.PathLike[str]) -> list[NDArray[np.float64]]:
    """Read every polygon of a GeoJSON file; points and lines are passed over.

    Parameters
    ----------
    path : str or path
        A FeatureCollection, a list of features, one feature or one geometry (RFC 7946), with
        coordinates in full-resolution pixels as (x, y), as QuPath writes them.

    Returns
    -------
    list of ndarray of float64, each of shape (points, 2)
        One per polygon, in (row, column). The holes of a polygon are part of its outline, joined by
        cuts without width, so that the even-odd rule leaves them out.

    Raises
    ------
    RegionError
        If the file is missing, too large, not GeoJSON, or holds no area.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise RegionError(
                f"{size / 2**20:.0f} MB are too much for drawn regions",
                where=path,
                remedy="export only the regions that you need, simplified",
            )
        content = json.loads(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RegionError(f"cannot be read ({reason})", where=path, remedy="check the path") from error
    except (ValueError, RecursionError) as error:
        raise RegionError("not a GeoJSON file", where=path, remedy=_REMEDY) from error
    try:
        polygons = [_outline(rings) for rings in _polygons(content)]
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise RegionError(
            f"a region in it is damaged ({error})" if str(error) else "a region in it is damaged",
            where=path,
            remedy=_REMEDY,
        ) from error
    if not polygons:
        raise RegionError("it holds no area", where=path, remedy="draw a polygon, rectangle or ellipse")
    if sum(len(polygon) for polygon in polygons) > _MOST_POINTS:
        raise RegionError(
            f"its outlines have more than {_MOST_POINTS:,} points",
            where=path,
            remedy="simplify them in QuPath",
        )
    return polygons


def _polygons(content: Any) -> Iterator[list[Any]]:
    """Every polygon in a piece of GeoJSON, as its list of rings."""
    if isinstance(content, list):
        for item in content:
            yield from _polygons(item)
        return
    if not isinstance(content, dict):
        raise ValueError("a feature is not an object")
    match content.get("type"):
        case "FeatureCollection":
            yield from _polygons(_listed(content, "features"))
        case "Feature":
            if content.get("geometry") is not None:
                yield from _polygons(content["geometry"])
        case "GeometryCollection":
            yield from _polygons(_listed(content, "geometries"))
        case "Polygon":
            yield _listed(content, "coordinates")
        case "MultiPolygon":
            yield from _listed(content, "coordinates")
        case "Point" | "MultiPoint" | "LineString" | "MultiLineString":
            return
        case kind:
            raise ValueError(f"{kind!r:.60} is no kind of GeoJSON")


def _listed(content: dict[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{content.get('type')} without {key}")
    return value


def _outline(rings: list[Any]) -> NDArray[np.float64]:
    """Join the rings of one polygon into a single outline, as (row, column)."""
    outline: list[NDArray[np.float64]] = []
    for ring in rings:
        points = np.asarray(ring, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] < 2 or not np.isfinite(points[:, :2]).all():
            raise ValueError("a point is not two finite numbers")
        corners = points[:, 1::-1]
        if not np.array_equal(corners[0], corners[-1]):
            corners = np.concatenate((corners, corners[:1]))
        if len(corners) < 4:
            raise ValueError("an outline has fewer than three corners")
        outline.append(corners)
        if len(outline) > 1:
            outline.append(outline[0][:1])
    if not outline:
        raise ValueError("a polygon has no outline")
    return np.concatenate(outline)
