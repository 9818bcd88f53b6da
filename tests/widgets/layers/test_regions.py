"""Drawn shapes become regions in full-resolution pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Points, Shapes

from histoscribe.errors import RegionError
from histoscribe.section import Section
from histoscribe.tiles import Region
from histoscribe.widgets.layers.layers import add_layer, moved, placed_like, slide_layer, spot_layer
from histoscribe.widgets.layers.raster import raster_layer
from histoscribe.widgets.layers.regions import (
    add_regions,
    classes_in,
    described_regions,
    drawn_regions,
    regions_of,
    use_class,
)


def test_polygons_become_full_resolution_pixels(section: Section) -> None:
    triangle = np.array([[0, 0], [100, 0], [0, 50]], float)
    shapes = Shapes([triangle], shape_type="polygon", scale=(2, 2), translate=(10, 20))
    spots = Points(section.centres_um, metadata={"section": section})
    (region,) = drawn_regions(shapes, spots)
    np.testing.assert_allclose(region, (triangle * 2 + [10, 20]) / 0.5)
    (region,) = drawn_regions(shapes)
    np.testing.assert_allclose(region, triangle * 2 + [10, 20])


def test_shapes_of_other_plugins_are_read_in_their_units(section: Section) -> None:
    triangle = np.array([[0, 0], [0.1, 0], [0, 0.05]])
    shapes = Shapes([triangle], shape_type="polygon", scale=(2, 2), translate=(0.01, 0.02), units="mm")
    spots = add_layer(ViewerModel(), spot_layer(section))
    (region,) = drawn_regions(shapes, spots)
    np.testing.assert_allclose(region, (triangle * 2000 + [10, 20]) / 0.5)
    add_regions(shapes, [Region("", (0, 0, 0), region)], spots)
    np.testing.assert_allclose(shapes.data[1][:3], triangle, atol=1e-6)
    shapes.units = ("um", "s")
    with pytest.raises(RegionError, match="units of micrometer and second, which have no length"):
        drawn_regions(shapes, spots)


SWAP = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], float)
MOVES: list[dict[str, Any]] = [
    {"translate": (30, -500)},
    {"rotate": 33},
    {"scale": (2, 0.5), "shear": [0.3]},
    {"affine": SWAP},
]


@pytest.mark.parametrize("about", MOVES)
@pytest.mark.parametrize("whose", ["spots", "slide", "raster"])
def test_regions_are_read_where_the_tissue_lies_now(
    viewer: Any, section: Section, make_slide: Any, about: dict[str, Any], whose: str
) -> None:
    obs = section.table.obs
    obs["array_row"], obs["array_col"] = ((section.centres - 60) // 40).astype(int).T
    described = {
        "spots": lambda: spot_layer(section),
        "slide": lambda: slide_layer(make_slide(first=4.0)),
        "raster": lambda: raster_layer(replace(section, spot_um=20.0)),
    }[whose]()
    layer = add_layer(viewer, described)
    corners = np.array([(60, 60), (60, 201), (143, 201)], float)
    for name, value in about.items():
        setattr(layer, name, value)
    region = Region("Tumour", (1, 2, 3), corners, (corners[::-1] * 0.5 + 60,))
    shapes = add_layer(viewer, described_regions([region], 0.5, "regions", layer))
    (back,) = regions_of(shapes, layer)
    np.testing.assert_allclose(back.polygon, corners)
    assert back.area == pytest.approx(region.area)
    shapes.rotate, shapes.scale = 20, (3, 3)
    add_regions(shapes, [region], layer)
    np.testing.assert_allclose(regions_of(shapes, layer)[1].polygon, corners)
    again = add_layer(viewer, placed_like(spot_layer(section), layer))
    if whose == "spots":
        np.testing.assert_allclose(again.data_to_world(again.data[3]), layer.data_to_world(layer.data[3]))
    np.testing.assert_allclose(moved(again), moved(layer), atol=1e-9)


def test_holes_stay_holes_when_a_corner_is_dragged() -> None:
    outline = np.array([(0, 0), (0, 90), (90, 90), (90, 0)], float)
    region = Region("", (0, 0, 0), outline, (outline / 3 + 20, outline / 9 + 60))
    data, described, _ = described_regions([region], 1.0, "regions")
    shapes = Shapes(data, **described)
    corners = np.array(shapes.data[0])
    corners[0] -= 10
    corners[5] += 3
    shapes.data = [corners]
    (back,) = regions_of(shapes)
    assert len(back.holes) == 2
    assert back.polygon[0].tolist() == [-10, -10]
    assert back.holes[0][0].tolist() == [23, 23]


def test_of_three_axes_the_last_two_are_taken() -> None:
    corners = np.array([(7, 0, 0), (7, 0, 9), (7, 9, 9)], float)
    (region,) = drawn_regions(Shapes([corners], shape_type="polygon", scale=(5, 2, 2)))
    np.testing.assert_allclose(region, corners[:, 1:] * 2)


def test_an_ellipse_becomes_its_outline() -> None:
    box = np.array([[0, 0], [0, 20], [40, 20], [40, 0]], float)
    (region,) = drawn_regions(Shapes([box], shape_type="ellipse"))
    np.testing.assert_allclose(((region - [20, 10]) ** 2 / [400, 100]).sum(axis=1), 1.0)


def test_what_an_annotation_says_goes_through_the_viewer(section: Section) -> None:
    outline = np.array([(0, 0), (0, 90), (90, 90), (90, 0)], float)
    regions = [
        Region("Tumour", (9, 8, 7), outline, (outline / 3 + 20,), "left", "id-1", '{"properties": {"a": 1}}'),
        Region("Tumour", (1, 1, 1), outline + 100, identity="id-1"),
        Region("", (255, 0, 0), outline),
    ]
    spots = Points(section.centres_um, metadata={"section": section})
    data, described, _ = described_regions(regions, 0.5, "regions")
    shapes = Shapes(data, **described)
    assert regions_of(shapes, spots) == regions
    shapes.add_ellipses(np.array([[0, 0], [0, 20], [40, 20], [40, 0]], float))
    assert "isEllipse" in regions_of(shapes, spots)[-1].other


def test_open_shapes_are_no_region() -> None:
    line = np.array([[0, 0], [5, 5]], float)
    shapes = Shapes([line, np.array([[0, 0], [0, 9], [9, 9], [9, 0]])], shape_type=["line", "rectangle"])
    assert len(drawn_regions(shapes)) == 1
    with pytest.raises(RegionError, match="no closed shape"):
        drawn_regions(Shapes([line], shape_type="line"))


def test_shapes_that_another_panel_drew_take_a_class_for_what_is_drawn_next() -> None:
    corners = np.array([(0.0, 0), (0, 10), (10, 10), (10, 0)])
    layer = Shapes([corners], shape_type="polygon")
    use_class(layer, "Tumour", (230, 159, 0))
    layer.add_polygons(corners + 20)
    assert classes_in(layer) == ["", "Tumour"]
