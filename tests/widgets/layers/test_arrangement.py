"""Sections that are opened together lie beside each other; panes bring them together and let them go."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.tiles import Region
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.arrangement import side_by_side, uncover
from histoscribe.widgets.layers.layers import add_layer, affine_of, moved, section_of, spot_layer
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.layers.regions import described_regions, regions_of


@pytest.fixture
def shown(viewer: Any, make_section: Callable[..., Section]) -> Any:
    show(viewer, [make_section(name) for name in ("A1", "B1", "C1")])
    return viewer


def test_sections_opened_together_lie_side_by_side(shown: Any) -> None:
    lefts = [layer.extent.world[:, 1] for layer in spot_layers(shown)]
    assert all(before[1] < after[0] for before, after in pairwise(lefts))
    for image, spots in zip(shown.layers[::2], shown.layers[1::2], strict=True):
        centre = section_of(spots).centres[3]
        np.testing.assert_allclose(image.world_to_data(spots.data_to_world(spots.data[3])), centre)


def test_panes_bring_them_together_and_regions_stay_where_they_were_drawn(shown: Any) -> None:
    second = spot_layers(shown)[1]
    region = Region("Tumour", (1, 2, 3), np.array([(60, 60), (60, 201), (143, 201)], float))
    drawn = add_layer(shown, described_regions([region], 0.5, "regions", second))
    before = affine_of(second)
    side_by_side(shown, True)
    np.testing.assert_allclose(affine_of(second), np.eye(3))
    np.testing.assert_allclose(moved(second), before)
    np.testing.assert_allclose(regions_of(drawn, second)[0].polygon, region.polygon)
    side_by_side(shown, False)
    np.testing.assert_allclose(affine_of(second), before)
    np.testing.assert_allclose(regions_of(drawn, second)[0].polygon, region.polygon)


def test_a_result_hides_what_its_colours_would_mix_with(shown: Any, make_section: Any) -> None:
    measured = spot_layers(shown)[0]
    result = add_layer(shown, spot_layer(make_section("A1", "predicted")))
    assert uncover(shown, result) == [measured]
    assert [layer.visible for layer in spot_layers(shown)] == [False, True, True, True]


def test_panes_end_with_the_result_uncovered(shown: Any, make_section: Any) -> None:
    result = add_layer(shown, spot_layer(make_section("A1", "predicted")))
    side_by_side(shown, True)
    assert all(layer.visible for layer in spot_layers(shown))
    side_by_side(shown, False)
    assert [layer.visible for layer in spot_layers(shown)] == [False, True, True, True]
    assert result.visible


def test_blends_of_the_first_two_genes_stand_off_the_stain() -> None:
    """Distances in CIELAB of strong blends from haematoxylin, eosin and their mixtures on glass."""
    from skimage.color import hed2rgb, rgb2lab

    from histoscribe.widgets.layers.colours import blended

    amounts = np.stack(np.meshgrid(*[np.linspace(0, 0.25, 9)] * 2), axis=-1).reshape(-1, 2)
    stain = rgb2lab(hed2rgb(np.column_stack([amounts, np.zeros(len(amounts))])[None]))[0]
    shares = np.stack(np.meshgrid(*[np.linspace(0, 1, 6)] * 2), axis=-1).reshape(-1, 2)
    strong = shares[shares.sum(axis=1) >= 0.8]
    inks = blended([(strong[:, 0], (0.0, 1.0)), (strong[:, 1], (0.0, 1.0))])
    lab = rgb2lab(inks[None, :, :3])[0]
    assert np.linalg.norm(lab[:, None] - stain[None], axis=2).min() > 25
