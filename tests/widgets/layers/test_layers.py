"""Layers: true scale, units, positions to half a pixel, and nothing read before it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.layers.layers import section_of, slide_layer, slide_of, spot_layer
from histoscribe.widgets.layers.opened import section_layers


def add(viewer: Any, data: tuple[Any, dict[str, Any], str]) -> Any:
    pixels, described, kind = data
    return getattr(viewer, f"add_{kind}")(pixels, **described)


def test_a_slide_is_a_multiscale_layer_in_um(viewer: Any, make_slide: Callable[..., Slide]) -> None:
    slide = make_slide(mpp=0.5)
    layer = add(viewer, slide_layer(slide))
    assert layer.multiscale
    assert layer.rgb
    np.testing.assert_allclose(layer.scale, 0.5)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    np.testing.assert_allclose(layer.data_to_world((10, 20)), (5.0, 10.0))
    assert slide_of(layer) is slide


def test_the_finest_level_is_not_read_to_describe_it(make_slide: Callable[..., Slide]) -> None:
    slide = make_slide()
    slide_layer(slide)
    assert all(level.pixels.reads == 0 for level in slide.levels)


@pytest.mark.parametrize("first", [1.0, 5.78, 12.5])
def test_a_reduced_finest_level_lies_where_its_pixels_were(
    viewer: Any, make_slide: Callable[..., Slide], first: float
) -> None:
    slide = make_slide(mpp=0.5, first=first)
    layer = add(viewer, slide_layer(slide))
    upper_left_edge = layer.data_to_world((-0.5, -0.5))
    np.testing.assert_allclose(upper_left_edge, (-0.25, -0.25), err_msg="the edge of full-resolution pixel 0")
    assert layer.data_to_world((1, 1))[0] - layer.data_to_world((0, 0))[0] == pytest.approx(0.5 * first)


def test_unknown_mpp_is_said_and_shown_in_pixels(viewer: Any, make_slide: Callable[..., Slide]) -> None:
    layer = add(viewer, slide_layer(make_slide(mpp=None)))
    assert "µm per pixel unknown" in layer.name
    assert {str(unit) for unit in layer.units} == {"pixel"}
    np.testing.assert_allclose(layer.scale, 1.0)


def test_spots_have_their_true_diameter_and_place(viewer: Any, section: Section) -> None:
    layer = add(viewer, spot_layer(section))
    np.testing.assert_allclose(layer.data, section.centres * section.mpp)
    np.testing.assert_allclose(layer.size, 15.0)
    assert float(layer.border_width.max()) == 0.0
    assert layer.metadata["adata"] is section.table
    assert section_of(layer) is section


def test_spots_lie_on_the_pixels_they_name(viewer: Any, section: Section) -> None:
    image, spots = (add(viewer, data) for data in section_layers(section))
    np.testing.assert_allclose(image.world_to_data(spots.data_to_world(spots.data[3])), section.centres[3])


def test_spots_follow_the_section_where_the_slide_states_another_mpp(
    make_section: Callable[..., Section], make_slide: Callable[..., Slide]
) -> None:
    image, _ = section_layers(make_section(slide=make_slide(mpp=None)))
    assert image[1]["scale"] == (0.5, 0.5)


def test_a_section_without_slide_is_spots_alone(section: Section) -> None:
    from dataclasses import replace

    kinds = [kind for _, _, kind in section_layers(replace(section, slide=None))]
    assert kinds == ["points"]


@pytest.mark.parametrize(
    ("alignment", "name"),
    [("", "A1 H&E"), ("fits", "A1 H&E"), ("fits level 1 (1/4)", "A1 H&E (fits level 1 (1/4))")],
)
def test_how_the_slide_fits_is_shown(section: Section, alignment: str, name: str) -> None:
    from dataclasses import replace

    doubtful = replace(section, alignment=alignment, warnings=("the spots were placed elsewhere",))
    image, spots = section_layers(doubtful)
    assert image[1]["name"] == name
    assert image[1]["metadata"]["alignment"] == spots[1]["metadata"]["alignment"] == alignment
    assert image[1]["metadata"]["slide"].warnings == ("the spots were placed elsewhere",)
