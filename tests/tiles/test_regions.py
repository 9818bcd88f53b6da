"""Regions: what they hold, their area, their outline in one ring and apart."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.errors import RegionError
from histoscribe.tiles import Region, grid_tiles, region_at, rings_of

_PLACE = st.integers(-20, 20)


def test_a_region_knows_what_it_holds(slide):
    region = Region(
        "",
        (0, 0, 0),
        [[10, 100], [10, 300], [210, 300], [210, 100], [10, 100]],
        ([[60, 150], [60, 250], [160, 250], [160, 150]],),
    )
    assert len(region.polygon) == 4
    centres = grid_tiles(slide, 5, mask=False).centres
    inside = set(map(tuple, grid_tiles(slide, 5, mask=False, region=[region]).centres))
    assert {tuple(centre) for centre in centres[region.contains(centres)]} == inside
    assert len(inside) == 20 * 20 - 10 * 10
    with pytest.raises(ValueError, match="read-only"):
        region.polygon[0] = 0


def test_the_area_is_that_of_the_polygon_without_its_holes():
    square = [[0, 0], [0, 40], [30, 40], [30, 0]]
    assert Region("", (0, 0, 0), square, ([[10, 10], [10, 20], [20, 20], [20, 10]],)).area == 1100
    crossed = [[0, 0], [10, 10], [0, 10], [10, 0]]  # two triangles of 25
    assert Region("", (0, 0, 0), crossed).area == 50
    joined = Region("", (0, 0, 0), square, ([[10, 10], [10, 20], [20, 20], [20, 10]],)).outline
    assert Region("", (0, 0, 0), joined).area == 1100


@settings(max_examples=100)
@given(
    regions=st.lists(
        st.builds(
            Region,
            name=st.just(""),
            colour=st.just((0, 0, 0)),
            polygon=st.lists(st.tuples(_PLACE, _PLACE), min_size=3, max_size=3, unique=True),
        ),
        max_size=6,
    ),
    points=st.lists(st.tuples(_PLACE, _PLACE), min_size=1, max_size=20),
)
def test_the_last_region_that_holds_a_point(regions, points):
    expected = np.full(len(points), -1)
    for place, region in enumerate(regions):
        expected[region.contains(points)] = place
    np.testing.assert_array_equal(region_at(regions, points), expected)


def test_a_point_that_is_nowhere_lies_in_no_region():
    everywhere = Region("", (0, 0, 0), [[-9e9, -9e9], [-9e9, 9e9], [9e9, 9e9], [9e9, -9e9]])
    assert region_at([everywhere], [[0, 0], [np.nan, 0]]).tolist() == [0, -1]
    assert region_at([], [[0, 0]]).tolist() == [-1]


@settings(max_examples=100)
@given(
    polygon=st.lists(st.tuples(*[st.integers(0, 99)] * 2), min_size=3, max_size=8, unique=True),
    holes=st.lists(
        st.lists(st.tuples(*[st.integers(100, 199)] * 2), min_size=3, max_size=6, unique=True), max_size=3
    ),
    angle=st.floats(0, 6.3),
    shift=st.floats(-1e4, 1e4),
)
def test_holes_come_back_from_an_outline_that_was_moved_turned_and_stretched(polygon, holes, angle, shift):
    turn = 1.7 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    rings = [np.asarray(ring, dtype=float) @ turn + shift for ring in (polygon, *holes)]
    outline = Region("", (0, 0, 0), polygon, tuple(holes)).outline @ turn + shift
    found, inner = rings_of(outline)
    assert len(inner) == len(holes)
    for ring, expected in zip((found, *inner), rings, strict=True):
        np.testing.assert_allclose(ring, expected, atol=1e-6)


@pytest.mark.parametrize(
    "outline",
    [
        [[0, 0], [0, 1], [1, 1]],
        [[0, 0], [0, 9], [9, 9], [0, 0], [2, 2], [2, 3], [3, 3]],  # a cut without its way back
        [[0, 0], [0, 9], [9, 9], [0, 0], [2, 2], [2, 3], [3, 3], [2, 2], [5, 5]],
    ],
)
def test_an_outline_that_is_not_joined_is_all_polygon(outline):
    polygon, holes = rings_of(outline)
    np.testing.assert_array_equal(polygon, outline)
    assert holes == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"polygon": [[0, 0], [1, 1], [0, 0]]}, "three corners"),
        ({"polygon": [[0, 0], [1, np.nan], [2, 2]]}, "finite"),
        ({"polygon": [[0, 0, 0], [1, 1, 1], [2, 2, 2]]}, "finite"),
        ({"holes": [[[0, 0], [1, 1]]]}, "three corners"),
        ({"colour": (0, 0, 256)}, "no colour"),
        ({"colour": (0, 0)}, "no colour"),
    ],
)
def test_no_region_is_made_of_nonsense(change, problem):
    whole = {"name": "", "colour": (0, 0, 0), "polygon": [[0, 0], [0, 1], [1, 1]]}
    with pytest.raises(RegionError, match=problem):
        Region(**{**whole, **change})
