"""Drawn regions from GeoJSON."""

from __future__ import annotations

import gzip
import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from histoscribe.errors import RegionError
from histoscribe.tiles import (
    DamagedRegionWarning,
    Region,
    geojson,
    grid_tiles,
    is_locked,
    marked_ellipse,
    read_regions,
    with_lock,
    write_regions,
)

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
    (region,) = read_regions(write(content))
    np.testing.assert_array_equal(region.polygon, [[10, 100], [10, 300], [210, 300], [210, 100]])


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


@pytest.mark.parametrize("bad", [[], [[]], [[[1, 2], [3, 4]]], [[[0, 0], [1, float("nan")], [2, 2]]]])
def test_one_damaged_area_among_others_is_left_out_and_named(write, bad):
    empty = _feature({"type": "Polygon", "coordinates": bad})
    empty["properties"]["name"] = "left"
    path = write([_feature(_POLYGON), empty, _feature(_POLYGON)])
    with pytest.warns(DamagedRegionWarning, match=r"area 2 of Tumor, left \("):
        regions = read_regions(path)
    assert [region.area for region in regions] == [200 * 200] * 2


def test_the_parts_of_an_annotation_stay_together(write, tmp_path):
    moved = [[x + 400, y] for x, y in _SQUARE]
    parts = {"type": "MultiPolygon", "coordinates": [[_SQUARE, _HOLE], [moved]]}
    whole = {**_feature(parts), "id": "1c2e"}
    other = {**_feature(_POLYGON), "id": "77aa"}
    again = {**_feature(_POLYGON), "id": "77aa"}  # what belongs to another annotation may not claim its id
    regions = read_regions(write([whole, other, again]))
    assert [region.identity for region in regions] == ["1c2e", "1c2e", "77aa", ""]
    written = json.loads(write_regions(regions, tmp_path / "out.geojson").read_text())["features"]
    assert [feature.get("id") for feature in written] == ["1c2e", "77aa", None]
    assert written[0]["geometry"] == parts
    assert read_regions(tmp_path / "out.geojson") == regions


def test_size_is_bounded(write, monkeypatch, tmp_path):
    path = write(_POLYGON)
    monkeypatch.setattr(geojson, "_MOST_POINTS", 3)
    with pytest.raises(RegionError, match="more than 3 points"):
        read_regions(path)
    monkeypatch.setattr(geojson, "_MOST_BYTES", 10)
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


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_JSON, kind=st.sampled_from(["Polygon", "MultiPolygon", "Feature", "FeatureCollection"]))
def test_any_json_gives_polygons_or_one_clear_error(write, content, kind):
    keys = ("coordinates", "features", "geometry")
    path = write({"type": kind, **dict.fromkeys(keys, content)})
    try:
        regions = read_regions(path)
    except RegionError:
        return
    assert all(region.polygon.ndim == 2 and np.isfinite(region.polygon).all() for region in regions)


_NUMBER = st.floats(-1e7, 1e7)
_BYTE = st.integers(0, 255)
_RING = st.lists(st.tuples(_NUMBER, _NUMBER), min_size=3, max_size=8, unique=True)
_REGION = st.builds(
    Region,
    name=st.text(max_size=12),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    polygon=_RING,
    holes=st.lists(_RING, max_size=2),
    label=st.text(max_size=12),
)
_PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5)
_SAID = st.fixed_dictionaries(
    {},
    optional={
        "isLocked": st.booleans(),
        "measurements": st.dictionaries(st.text(max_size=8), st.floats(-1e6, 1e6), max_size=3),
        "metadata": st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2),
        "objectType": st.sampled_from(["detection", "cell", "tile"]),
        "extra": st.lists(_PLAIN, max_size=2),
    },
)


@st.composite
def _annotation(draw, number):
    """A feature as QuPath writes it, with one area or several, locked, measured, described."""
    rings = st.lists(_RING.map(lambda ring: [*map(list, ring), list(ring[0])]), min_size=1, max_size=3)
    parts = draw(st.lists(rings, min_size=1, max_size=3))
    several = len(parts) > 1
    geometry = {
        "type": "MultiPolygon" if several else "Polygon",
        "coordinates": parts if several else parts[0],
    }
    if draw(st.booleans()):
        geometry["plane"] = {"c": -1, "z": draw(st.integers(0, 3)), "t": 0}
    classed = {
        "name": draw(st.text(min_size=1, max_size=8)),
        "color": draw(st.tuples(*[_BYTE] * 3).map(list)),
    }
    properties = {"objectType": "annotation", "classification": classed, **draw(_SAID)}
    if draw(st.booleans()):
        properties["name"] = draw(st.text(min_size=1, max_size=8))
    return {"type": "Feature", "id": f"id-{number}", "geometry": geometry, "properties": properties}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), count=st.integers(1, 3))
def test_what_qupath_writes_comes_back_to_it_feature_by_feature(tmp_path, data, count):
    features = [data.draw(_annotation(number)) for number in range(count)]
    (tmp_path / "in.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    write_regions(read_regions(tmp_path / "in.geojson"), tmp_path / "out.geojson")
    assert json.loads((tmp_path / "out.geojson").read_text())["features"] == features


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    radii=st.tuples(*[st.floats(100, 200)] * 2),
    count=st.integers(5, 22).map(lambda quarter: 4 * quarter),
    turned=st.booleans(),
)
def test_an_ellipse_is_called_one_only_while_it_is(tmp_path, radii, count, turned):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring = np.column_stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)]) + 700
    if turned:  # a tilted one is no ellipse to QuPath, which keeps its box alone
        ring[:, 0] += ring[:, 1]
    region = Region("", (1, 2, 3), ring, other=marked_ellipse(""))
    (feature,) = json.loads(write_regions([region], tmp_path / "e.geojson").read_text())["features"]
    assert feature["geometry"].get("isEllipse", False) == (not turned)
    (back,) = read_regions(tmp_path / "e.geojson")
    np.testing.assert_array_equal(back.polygon, region.polygon)


def test_a_lock_is_read_set_and_taken_away(write):
    feature = {**_feature(_POLYGON), "properties": {"isLocked": True, "measurements": {"µm": 2.5}}}
    (region,) = read_regions(write(feature))
    assert is_locked(region.other)
    freed = with_lock(region.other, False)
    assert not is_locked(freed)
    assert json.loads(freed)["properties"]["measurements"] == {"µm": 2.5}
    assert is_locked(with_lock("", True))
    assert not is_locked("[")


def test_parts_without_an_id_stay_one_annotation(write, tmp_path):
    moved = [[x + 400, y] for x, y in _SQUARE]
    whole = _feature({"type": "MultiPolygon", "coordinates": [[_SQUARE, _HOLE], [moved]]})
    del whole["id"]
    regions = read_regions(write([whole, whole]))
    assert len({one.identity for one in regions}) == 2
    written = json.loads(write_regions(regions, tmp_path / "out.geojson").read_text())["features"]
    assert [one["geometry"] for one in written] == [whole["geometry"]] * 2


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(regions=st.lists(_REGION, min_size=1, max_size=4))
def test_what_is_written_is_read_again(tmp_path, regions):
    path = write_regions(regions, tmp_path / "out.geojson")
    assert read_regions(path) == regions


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        (
            {"classification": {"name": "Tumor", "color": [200, 0, 0]}, "name": "left"},
            ("Tumor", (200, 0, 0), "left"),
        ),
        ({"classification": {"names": ["Tumor", "Positive"]}}, ("Tumor: Positive", (255, 0, 0), "")),
        ({"classification": {"name": "Stroma", "colorRGB": -6895466}}, ("Stroma", (150, 200, 150), "")),
        ({"classification": "Tumor", "color": [1, 2, 3]}, ("Tumor", (1, 2, 3), "")),
        ({"classification": '{"name": "Tumor", "color": [1, 2, 3]}'}, ("Tumor", (1, 2, 3), "")),
        ({"classification": {"name": "Tumor", "color": [1, 2, 3, 255]}}, ("Tumor", (1, 2, 3), "")),
        ({"classification": {"name": "Tumor", "color": "#0102ff"}}, ("Tumor", (1, 2, 255), "")),
        ({"classification": {"name": 7, "color": [1, 2, 300]}, "name": ["x"]}, ("", (255, 0, 0), "")),
        (None, ("", (255, 0, 0), "")),
    ],
)
def test_classes_and_colours_as_qupath_writes_them(write, properties, found):
    feature = {"type": "Feature", "geometry": _POLYGON, "properties": properties}
    (region,) = read_regions(write(feature))
    assert (region.name, region.colour, region.label) == found


def test_a_written_file_has_what_qupath_asks_for(tmp_path):
    region = Region(
        "Tumor", (200, 0, 10), [[10, 100], [10, 300], [210, 300]], ([[12, 200], [12, 280], [90, 280]],)
    )
    feature = json.loads(write_regions([region], tmp_path / "r.geojson").read_text())["features"][0]
    assert feature["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "Tumor", "color": [200, 0, 10]},
    }
    outer, hole = feature["geometry"]["coordinates"]
    assert outer == [[100, 10], [300, 10], [300, 210], [100, 10]]
    assert hole[0] == hole[-1] == [200, 12]


def test_too_many_points_are_refused_at_once_and_little_memory(write, monkeypatch):
    monkeypatch.setattr(geojson, "_MOST_POINTS", 1_000_000)
    points = "[1.25,2.5],[1.5,7.25]," * 500_000
    path = write('{"type": "Polygon", "coordinates": [[' + points + "[9,9]]]}")
    start = time.process_time()
    with pytest.raises(RegionError, match="more than 1,000,000 points"):
        read_regions(path)
    assert time.process_time() - start < 10
    path.write_text("[" + "[]," * 12_000_000 + "[]]")
    with pytest.raises(RegionError, match="far more values"):
        read_regions(path)


def test_rows_that_run_upwards_are_refused(write):
    upwards = {"type": "Polygon", "coordinates": [[[x, -y] for x, y in _SQUARE]]}
    with pytest.raises(RegionError, match="do their rows run upwards"):
        read_regions(write(upwards))
    assert len(read_regions(write([upwards, _POLYGON]))) == 2


def test_degrees_are_refused_and_packed_or_empty_holes_read(tmp_path):
    outline = [[13.37, 52.51], [13.38, 52.51], [13.38, 52.52], [13.37, 52.51]]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [outline]}))
    with pytest.raises(RegionError, match="smaller than a pixel"):
        read_regions(path)
    square = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    text = json.dumps({"type": "Polygon", "coordinates": [square, []]}).encode()
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(text))
    (region,) = read_regions(tmp_path / "a.geojson.gz")
    assert (region.area, region.holes) == (100.0, ())
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(text)[:30])
    with pytest.raises(RegionError, match="cannot be read"):
        read_regions(tmp_path / "a.geojson.gz")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (None, "a feature is not an object"),
        (_feature({"type": "Circle", "coordinates": [1, 2]}), "of Tumor .*'Circle' is no kind"),
        (_feature({"type": "Polygon"}), "without coordinates"),
        (_feature({"type": "MultiPolygon", "coordinates": None}), "without coordinates"),
    ],
)
def test_what_is_no_area_among_others_is_left_out_and_named(write, bad, words):
    path = write([_feature(_POLYGON) | {"id": "a"}, bad, _feature(_POLYGON) | {"id": "b"}])
    with pytest.warns(DamagedRegionWarning, match=f"left out as damaged: area 2 ?.*{words}"):
        assert [region.identity for region in read_regions(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '{"type": "FeatureCollection", "name": "a \\"features\\": [ b", '
            '"crs": {"p": {"n": "x[1]"}}, "features": [\n',
            '\n], "bbox": [0, 1]}',
        ),
        ('{"features": [', '], "type": "FeatureCollection"}'),
        (" [", "]\n"),
    ],
)
def test_features_are_read_one_by_one_whatever_stands_around_them(write, before, after):
    feature = json.dumps(_feature(_POLYGON) | {"id": None})
    assert len(read_regions(write(f"{before}{feature} ,\n {feature}{after}"))) == 2
    for damaged in (
        f"{before}{feature} {feature}{after}",
        f"{before}{feature},{after}",
        f"{before}{feature}",
    ):
        with pytest.raises(RegionError, match="not a GeoJSON"):
            read_regions(write(damaged))
    topology = '{"type": "Topology", "features": [' + feature + "]}"
    with pytest.raises(RegionError, match="Topology"):
        read_regions(write(topology))


@pytest.mark.parametrize(
    ("name", "larger", "refused"),
    [("micrometers", 100, True), ("urn:ogc:def:crs:OGC:1.3:CRS84", 1, True), ("EPSG:4326", 100, False)],
)
def test_a_stated_system_that_is_none_of_pixels_is_refused(name, larger, refused, tmp_path):
    corners = [[x * larger, y * larger] for x, y in ((8, 47), (12, 47), (12, 50), (8, 47))]
    area = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [corners]}}
    system = {"type": "name", "properties": {"name": name}}
    content = {"type": "FeatureCollection", "crs": system, "features": [area]}
    (tmp_path / "r.geojson").write_text(json.dumps(content))
    if not refused:
        assert len(read_regions(tmp_path / "r.geojson")) == 1
        return
    with pytest.raises(RegionError, match=r"states its coordinates as .*, not in pixels"):
        read_regions(tmp_path / "r.geojson")
