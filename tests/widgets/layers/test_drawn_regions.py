"""Very many regions are one picture: drawn where they lie, moved with it, edited in part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from napari.layers import Image, Layer, Shapes

from histoscribe.tiles import Region, areas, moved_regions, read_regions, region_at, write_regions
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers import regions as region_layers
from histoscribe.widgets.layers.pictures.drawn_regions import held_regions, picture_of_regions
from histoscribe.widgets.layers.regions import class_colours, classes_in, drawn_regions, regions_of
from histoscribe.widgets.layers.rescaling import set_mpp
from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.panels.regions import drawing

SQUARE = np.array([[10, 10], [10, 50], [50, 50], [50, 10]], float)
REGIONS = [
    Region("a", (200, 0, 0), SQUARE, (0.5 * SQUARE + 15,)),
    Region("b", (0, 0, 200), SQUARE[::-1] + np.array([0, 60]), (0.5 * SQUARE + [15, 75],)),
    Region("a", (200, 0, 0), [[70, 20], [95, 50], [70, 80]]),
    Region("c", (0, 99, 0), [[80.1, 10.1], [80.2, 10.2], [80.3, 10.1]]),
]


def many(count: int) -> list[Region]:
    """Small squares in rows, of two classes."""
    places = np.stack(np.divmod(np.arange(count), 10), axis=1) * 60.0
    return [
        Region("even" if number % 2 == 0 else "odd", (200, 40 * (number % 2), 0), SQUARE + place)
        for number, place in enumerate(places)
    ]


@pytest.mark.parametrize("mpp", [1.0, 0.25])
def test_the_picture_is_filled_where_its_regions_are(mpp: float) -> None:
    (data, about, kind) = picture_of_regions(REGIONS, mpp, "many")
    assert kind == "image"
    image = data[:]
    places = np.stack(np.indices(image.shape[:2]), -1) * about["scale"] + about["translate"]
    points = shapely.points(places.reshape(-1, 2) / mpp)
    for region in REGIONS[:3]:
        inside = shapely.contains(region.geometry, points).reshape(image.shape[:2])
        far = shapely.distance(region.geometry.boundary, points).reshape(image.shape[:2]) > 2.1
        assert (image[inside & far] == [*region.colour, round(255 * 0.15)]).all()
        assert (inside & far).sum() > 100
    alone = shapely.union_all([region.geometry for region in REGIONS]).buffer(2.1)
    empty = ~shapely.contains(alone, points).reshape(image.shape[:2])
    assert not image[empty].any()
    edges = shapely.union_all([region.geometry.boundary for region in REGIONS])
    near = shapely.distance(edges, points).reshape(image.shape[:2]) < 0.3
    assert (image[near][:, 3] == 255).mean() > 0.9
    assert (image[70:72, :3, 1] == 99).any()  # smaller than a pixel, and still seen


def test_a_part_of_it_is_the_part_of_the_whole() -> None:
    data = picture_of_regions(REGIONS, 0.25, "many")[0]
    whole = data[:]
    for rows, columns in (
        (slice(0, 30), slice(5, 60)),
        (slice(31, 70), slice(40, 99)),
        (slice(80, 86), slice(0, 3)),
    ):
        part, expected = data[rows, columns], whole[rows, columns]
        assert (part == expected)[2:-2, 2:-2].all()


def test_regions_move_all_at_once_and_keep_what_they_are() -> None:
    turn = np.array([[0.0, -2, 100], [2, 0, 7], [0, 0, 1]])
    moved = moved_regions(REGIONS, turn)
    for before, after in zip(REGIONS, moved, strict=True):
        np.testing.assert_allclose(after.polygon, before.polygon @ turn[:2, :2].T + turn[:2, 2])
        assert (after.name, after.colour, len(after.holes)) == (before.name, before.colour, len(before.holes))
    np.testing.assert_allclose(areas(moved), 4 * areas(REGIONS))
    crossed = Region("x", (1, 2, 3), [[0, 0], [10, 10], [0, 10], [10, 0]])
    assert areas([crossed, REGIONS[0]]).tolist() == [crossed.area, 1200]


def test_a_moved_picture_has_moved_regions(
    window: Any, section: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_layers, "MANY", 3)
    show(window, [section])
    beneath = next(layer for layer in window.layers if "section" in layer.metadata)
    layer = Layer.create(*region_layers.described_regions(REGIONS, section.mpp, "many", beneath))
    window.add_layer(layer)
    assert isinstance(layer, Image)
    assert regions_of(layer, beneath) == REGIONS
    assert classes_in(layer) == ["a", "b", "a", "c"]
    assert class_colours(layer) == {"a": (200, 0, 0), "b": (0, 0, 200), "c": (0, 99, 0)}
    layer.translate = np.asarray(layer.translate) + np.array([3 * section.mpp, 0])
    np.testing.assert_allclose(regions_of(layer, beneath)[0].polygon, SQUARE + np.array([3, 0]), atol=1e-6)
    np.testing.assert_allclose(
        drawn_regions(layer, beneath, "b")[0], REGIONS[1].polygon + np.array([3, 0]), atol=1e-6
    )


def test_a_picture_grows_with_its_slide(window: Any, section: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_layers, "MANY", 3)
    show(window, [section])
    beneath = next(layer for layer in window.layers if "section" in layer.metadata)
    window.add_layer(Layer.create(*region_layers.described_regions(REGIONS, section.mpp, "many", beneath)))
    set_mpp(window, section.slide, 2 * section.mpp)
    for after, before in zip(regions_of(window.layers["many"], beneath), REGIONS, strict=True):
        np.testing.assert_allclose(after.polygon, before.polygon, atol=1e-6)
    assert beneath.metadata["section"].mpp == 2 * section.mpp


def test_many_regions_are_opened_edited_in_part_renamed_and_saved(
    window: Any, section: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_layers, "MANY", 20)
    monkeypatch.setattr(drawing, "MANY", 20)
    show(window, [section])
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Regions")[1]
    beneath = panel.spots.value
    layer = Layer.create(*region_layers.described_regions(many(60), section.mpp, "many", beneath))
    panel.drawn.value = window.add_layer(layer)
    rows = {
        panel.classes.model.index(row, 0).data(): panel.classes.model.index(row, 1).data() for row in (0, 1)
    }
    assert rows == {"even": "30", "odd": "30"}
    home = np.asarray(layer.translate)

    def all_counted() -> bool:
        inside = region_at(regions_of(layer, beneath), section.centres) >= 0
        return sum(int(panel.classes.model.index(row, 2).data()) for row in (0, 1)) == inside.sum()

    for away in (0.0, -1e5, 0.0):
        layer.translate = home + away
        assert (region_at(regions_of(layer, beneath), section.centres) >= 0).any() == (away == 0)
        qtbot.waitUntil(all_counted, timeout=20_000)
    panel._restyle("odd", "odd")
    monkeypatch.setattr(
        drawing, "in_view", lambda layer: [number < 4 for number in range(len(held_regions(layer)))]
    )
    panel.edit()
    shapes = panel.drawn.value
    assert isinstance(shapes, Shapes)
    assert shapes.nshapes == 4
    shapes.data = [shapes.data[0] + 5 * section.mpp, *shapes.data[1:]]
    panel.edit()
    assert isinstance(panel.drawn.value, Image)
    assert shapes not in window.layers
    panel.save_regions(tmp_path / "all.geojson")
    again = read_regions(tmp_path / "all.geojson")
    assert len(again) == 60
    expected = sorted(
        [*(one.polygon.round(3).tolist() for one in many(60)[1:]), (SQUARE + 5).round(3).tolist()]
    )
    assert sorted(one.polygon.round(3).tolist() for one in again) == expected


def test_what_is_in_view_is_taken_and_too_much_is_refused(
    window: Any, section: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_layers, "MANY", 20)
    monkeypatch.setattr(drawing, "MANY", 20)
    show(window, [section])
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Regions")[1]
    beneath = panel.spots.value
    layer = Layer.create(*region_layers.described_regions(many(400), section.mpp, "many", beneath))
    window.add_layer(layer)
    window.fit_to_view()
    with pytest.raises(region_layers.RegionError, match="1 to 20 can be edited"):
        drawing.edit_in_view(window, layer, beneath)
    with pytest.raises(region_layers.RegionError, match="zoom in"):
        drawing.edit_in_view(window, None, beneath)


def test_opening_a_file_of_many_is_quick_to_draw(tmp_path: Path) -> None:
    path = write_regions(many(4000), tmp_path / "many.geojson")
    data, about, kind = region_layers.described_regions(read_regions(path), 0.5, "many")
    assert kind == "image"
    assert about["multiscale"]
    assert data[-1][:, :, 3].any()
