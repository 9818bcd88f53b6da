"""What is refused before a model is loaded, and how drawn shapes become regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Shapes

from histoscribe.errors import HistoscribeError, RegionError
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.layers.regions import drawn_regions
from histoscribe.widgets.panels.predict.prediction import PredictRequest, check


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "card.json").write_text("{}")
    return tmp_path


def test_a_section_on_its_spots_and_a_slide_on_a_grid_pass(
    model: Path, section: Section, make_slide: Callable[..., Slide]
) -> None:
    check(PredictRequest(model, section, "spots"))
    check(PredictRequest(model, make_slide(), "grid"))


def test_what_cannot_work_is_refused_with_a_remedy(
    model: Path, section: Section, make_slide: Callable[..., Slide], tmp_path: Path
) -> None:
    refused = {
        "no model": PredictRequest(tmp_path / "elsewhere", section, "spots"),
        "has no spots": PredictRequest(model, make_slide(), "spots"),
        "no slide": PredictRequest(model, replace(section, slide=None), "spots"),
        "unknown": PredictRequest(model, make_slide(mpp=None), "grid"),
    }
    for words, request in refused.items():
        with pytest.raises(HistoscribeError, match=words) as caught:
            check(request)
        assert caught.value.remedy


def test_a_section_lends_its_mpp_to_a_slide_without(
    model: Path, section: Section, make_slide: Callable[..., Slide]
) -> None:
    check(PredictRequest(model, replace(section, slide=make_slide(mpp=None)), "spots"))


def test_polygons_become_full_resolution_pixels() -> None:
    triangle = np.array([[0, 0], [100, 0], [0, 50]], float)
    shapes = Shapes([triangle], shape_type="polygon", scale=(2, 2), translate=(10, 20))
    (region,) = drawn_regions(shapes, mpp=0.5)
    np.testing.assert_allclose(region, (triangle * 2 + [10, 20]) / 0.5)


def test_an_ellipse_becomes_its_outline() -> None:
    box = np.array([[0, 0], [0, 20], [40, 20], [40, 0]], float)
    (region,) = drawn_regions(Shapes([box], shape_type="ellipse"), mpp=1.0)
    np.testing.assert_allclose(((region - [20, 10]) ** 2 / [400, 100]).sum(axis=1), 1.0)


def test_open_shapes_are_no_region() -> None:
    line = np.array([[0, 0], [5, 5]], float)
    shapes = Shapes([line, np.array([[0, 0], [0, 9], [9, 9], [9, 0]])], shape_type=["line", "rectangle"])
    assert len(drawn_regions(shapes, 1.0)) == 1
    with pytest.raises(RegionError, match="no closed shape"):
        drawn_regions(Shapes([line], shape_type="line"), 1.0)
