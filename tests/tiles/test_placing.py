"""Where tiles are placed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from histoscribe.errors import RegionError, SettingError, SlideError
from histoscribe.slide import Level, Slide
from histoscribe.tiles import Region, grid_tiles, sample_tiles, spot_tiles


def test_spots_keep_their_order_names_and_size():
    table = SimpleNamespace(obs_names=["AAC-1", "AAG-1"])
    section = SimpleNamespace(
        table=table, centres=np.array([[5.0, 7.0], [1.0, 2.0]]), spacing_um=100.0, spot_um=55.0
    )
    tiles = spot_tiles(section)
    assert tiles.names == ("AAC-1", "AAG-1")
    np.testing.assert_array_equal(tiles.centres, [[5, 7], [1, 2]])
    assert (tiles.pitch_um, tiles.spot_um, len(tiles)) == (100.0, 55.0, 2)


def test_grid_covers_the_slide(slide):
    tiles = grid_tiles(slide, 50, mask=False)
    assert len(tiles) == 16 * 20
    assert tiles.names[:2] == ("r0c0", "r0c1")
    np.testing.assert_array_equal(tiles.centres[0], [50, 50])
    np.testing.assert_array_equal(tiles.centres[-1], [1550, 1950])
    assert len(set(tiles.names)) == len(tiles)
    assert tiles.pitch_um == tiles.spot_um == 50


def test_a_sample_is_spread_over_the_tissue(slide):
    all_tiles, few = grid_tiles(slide, 20), sample_tiles(slide, 20, 30)
    assert len(few) == len(few.names) == 30
    assert set(few.names) <= set(all_tiles.names)
    np.testing.assert_allclose(few.centres.mean(0), all_tiles.centres.mean(0), atol=60)
    assert sample_tiles(slide, 20, 10**6).names == all_tiles.names


def test_grid_keeps_to_tissue(slide):
    whole, tissue = grid_tiles(slide, 40, mask=False), grid_tiles(slide, 40)
    away = np.abs(whole.centres - [800, 1000]).max(axis=1)  # the tissue reaches 400 px from there
    names = np.array(whole.names)
    one_mask_pixel = 16 / 0.5
    assert set(names[away < 400 - one_mask_pixel]) <= set(tissue.names)
    assert set(tissue.names) <= set(names[away < 400 + one_mask_pixel])


def test_a_place_keeps_its_name(slide):
    places = dict(
        zip(grid_tiles(slide, 60, mask=False).names, grid_tiles(slide, 60, mask=False).centres, strict=True)
    )
    square = np.array([[500, 700], [500, 1100], [900, 1100], [900, 700]])
    for tiles in (grid_tiles(slide, 60), grid_tiles(slide, 60, region=[square])):
        for name, centre in zip(tiles.names, tiles.centres, strict=True):
            np.testing.assert_array_equal(places[name], centre)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 1600), st.integers(0, 2000)), min_size=3, max_size=9),
    st.floats(30, 200),
)
def test_region_agrees_with_matplotlib(slide, corners, pitch):
    from matplotlib.path import Path as Outline

    polygon = np.array(corners, dtype=float) + 0.123
    whole = grid_tiles(slide, pitch, mask=False)
    places = shapely.points(whole.centres)
    clear = shapely.distance(shapely.LinearRing(polygon), places) > 1e-6  # on it either answer is right
    outline = Outline(np.vstack((polygon, polygon[:1])), closed=True)
    expected = outline.contains_points(whole.centres)
    crossings = _even_odd(polygon, whole.centres)
    try:
        found = set(grid_tiles(slide, pitch, mask=False, region=[polygon]).names)
    except RegionError:
        found = set()
    inside = np.isin(whole.names, list(found))
    np.testing.assert_array_equal(inside[clear], crossings[clear])
    if len(polygon) == 3:
        np.testing.assert_array_equal(inside[clear], expected[clear])


def test_a_line_to_and_fro_is_no_rectangle(slide):
    bent = np.array([[30, 30], [0, 30], [30, 30], [30, 0]]) * 10.0
    assert not Region("", (0, 0, 0), bent).contains(np.array([[100.0, 100.0]])).any()
    with pytest.raises(RegionError, match="no tile lies in the drawn region"):
        grid_tiles(slide, 30, mask=False, region=[bent])


def test_a_bow_tie_of_two_equal_wings_holds_both(slide):
    """Its wings run opposite ways round, so that the areas that they are given cancel each other."""
    bow = np.array([[400, 600], [800, 1000], [800, 600], [400, 1000]], dtype=float)
    inside = Region("", (0, 0, 0), bow).contains(np.array([[450.0, 800.0], [750.0, 800.0], [600.0, 650.0]]))
    assert inside.tolist() == [True, True, False]
    assert len(grid_tiles(slide, 40, region=[bow]))


def _even_odd(polygon, points):
    inside = np.zeros(len(points), dtype=bool)
    for (r0, c0), (r1, c1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if r0 != r1:
            crosses = (r0 <= points[:, 0]) != (r1 <= points[:, 0])
            inside ^= crosses & (points[:, 1] >= c0 + (points[:, 0] - r0) / (r1 - r0) * (c1 - c0))
    return inside


def test_several_regions_are_joined(slide):
    first = np.array([[400, 600], [400, 800], [600, 800], [600, 600]], dtype=float)
    second = first + 300.0
    both = grid_tiles(slide, 20, region=[first, second])
    names = {*grid_tiles(slide, 20, region=[first]).names, *grid_tiles(slide, 20, region=[second]).names}
    assert set(both.names) == names


def test_what_cannot_be_placed_is_told(slide):
    far = np.array([[9000, 9000], [9000, 9100], [9100, 9100]], dtype=float)
    with pytest.raises(RegionError, match="no tile"):
        grid_tiles(slide, 50, region=[far])
    with pytest.raises(RegionError, match="no tile"):
        grid_tiles(slide, 50, region=[])
    corner = np.array([[0, 0], [0, 200], [200, 200], [200, 0]], dtype=float)
    with pytest.raises(SlideError, match="no tissue"):
        grid_tiles(slide, 50, region=[corner])
    for pitch in (0, -1, np.nan, np.inf):
        with pytest.raises(SettingError, match="not possible"):
            grid_tiles(slide, pitch)
    with pytest.raises(SettingError, match="wider"):
        grid_tiles(slide, 0.001)
    with pytest.raises(SlideError, match="unknown"):
        grid_tiles(replace(slide, mpp=None), 50)


def test_a_small_region_of_a_large_slide_can_be_tiled_finely():
    pixels = np.zeros((1, 1, 3), dtype=np.uint8)
    huge = Slide(Path("huge.tif"), (Level(pixels, 200_000.0),), mpp=0.25)
    square = np.array([[50_000, 70_000], [50_000, 71_000], [51_000, 71_000], [51_000, 70_000]], dtype=float)
    tiles = grid_tiles(huge, 2, mask=False, region=[square])
    assert len(tiles) == 125**2
    assert tiles.names[0] == "r6250c8750"
    with pytest.raises(SettingError, match="more than 100,000,000"):
        grid_tiles(huge, 2, mask=False)


def test_reduced_slide_gives_the_same_places(slide):
    """A quarter-size image that stands for the full-resolution one."""
    small = slide.levels[1].pixels.reshape(400, 2, 500, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    reduced = replace(slide, levels=(Level(small, 4.0),))
    full, coarse = grid_tiles(slide, 40), grid_tiles(reduced, 40)
    assert full.names == coarse.names
    np.testing.assert_allclose(full.centres, coarse.centres)
