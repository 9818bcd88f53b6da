"""Drawn regions from GeoJSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from histoscribe.errors import RegionError
from histoscribe.tiles import grid_tiles, read_regions, regions

_SQUARE = [[100, 10], [300, 10], [300, 210], [100, 210], [100, 10]]
_HOLE = [[150, 60], [250, 60], [250, 160], [150, 160], [150, 60]]


def _feature(geometry):
    properties = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
    return {"type": "Feature", "id": "x", "geometry": geometry, "properties": properties}


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "regions.geojson"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return to_file


_POLYGON = {"type": "Polygon", "coordinates": [_SQUARE]}


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [_feature(_POLYGON)]},
        [_feature(_POLYGON)],
        _feature(_POLYGON),
        _POLYGON,
        {"type": "GeometryCollection", "geometries": [_POLYGON, {"type": "Point", "coordinates": [1, 2]}]},
        {"type": "Polygon", "coordinates": [[[*point, 0.0] for point in _SQUARE]]},
        {"type": "Polygon", "coordinates": [_SQUARE[:-1]]},
        [
            _feature(None),
            _feature({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}),
            _feature(_POLYGON),
        ],
    ],
)
def test_every_way_to_write_a_polygon(write, content):
    (polygon,) = read_regions(write(content))
    np.testing.assert_array_equal(polygon, [[10, 100], [10, 300], [210, 300], [210, 100], [10, 100]])


def test_multipolygons_and_holes(write, slide):
    moved = [[x + 400, y] for x, y in _SQUARE]
    content = _feature({"type": "MultiPolygon", "coordinates": [[_SQUARE, _HOLE], [moved]]})
    polygons = read_regions(write(content))
    assert len(polygons) == 2
    tiles = grid_tiles(slide, 5, mask=False, region=polygons)
    row, column = tiles.centres.T
    first = (row > 10) & (row < 210) & (column > 100) & (column < 300)
    hole = (row > 60) & (row < 160) & (column > 150) & (column < 250)
    second = (row > 10) & (row < 210) & (column > 500) & (column < 700)
    assert not hole.any()
    assert (first | second).all()
    assert len(tiles) == 20 * 20 - 10 * 10 + 20 * 20


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "not a GeoJSON"),
        ("{", "not a GeoJSON"),
        ("[" * 100_000, "not a GeoJSON"),
        ("[]", "no area"),
        ("3", "damaged"),
        ('{"type": "Topology"}', "Topology"),
        ('{"features": []}', "no kind"),
        ('{"type": "FeatureCollection"}', "without features"),
        ('{"type": "Polygon", "coordinates": []}', "no outline"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}', "three corners"),
        ('{"type": "Polygon", "coordinates": [[]]}', "finite"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, NaN], [2, 2]]]}', "finite"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1e999], [2, 2]]]}', "finite"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1], [2, 2]]]}', "damaged"),
        ('{"type": "Polygon", "coordinates": [[["a", "b"], ["c", "d"], ["e", "f"]]]}', "damaged"),
        ('{"type": "Polygon", "coordinates": [5]}', "finite"),
        ('{"type": "Point", "coordinates": [1, 2]}', "no area"),
    ],
)
def test_damaged_files_are_told(write, content, problem):
    with pytest.raises(RegionError, match=problem) as caught:
        read_regions(write(content))
    assert caught.value.remedy
    assert caught.value.where.endswith("regions.geojson")


def test_size_is_bounded(write, monkeypatch, tmp_path):
    path = write(_POLYGON)
    monkeypatch.setattr(regions, "_MOST_POINTS", 3)
    with pytest.raises(RegionError, match="more than 3 points"):
        read_regions(path)
    monkeypatch.setattr(regions, "_MOST_BYTES", 10)
    with pytest.raises(RegionError, match="too much"):
        read_regions(path)
    with pytest.raises(RegionError, match="no such file"):
        read_regions(tmp_path / "none.geojson")


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "features", "geometry", "coordinates", "geometries"]), inner
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_JSON, kind=st.sampled_from(["Polygon", "MultiPolygon", "Feature", "FeatureCollection"]))
def test_any_json_gives_polygons_or_one_clear_error(write, content, kind):
    keys = ("coordinates", "features", "geometry")
    path = write({"type": kind, **dict.fromkeys(keys, content)})
    try:
        polygons = read_regions(path)
    except RegionError:
        return
    assert all(polygon.ndim == 2 and np.isfinite(polygon).all() for polygon in polygons)
