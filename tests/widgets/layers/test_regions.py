"""Drawn shapes become regions in full-resolution pixels."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Shapes

from histoscribe.errors import RegionError
from histoscribe.widgets.layers.regions import drawn_regions


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
