"""Bins as images in µm, and how fast a million of them take another gene."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.raster import is_raster, raster_layer, recolour


def bins(side: int = 20, turn: float = 0.0) -> Section:
    import anndata
    import pandas as pd

    places = np.argwhere(np.ones((side, side), dtype=bool))[3:]
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * 16
    obs = pd.DataFrame(
        {"array_row": places[:, 0], "array_col": places[:, 1]},
        index=[f"b{row}_{column}" for row, column in places],
    )
    centres = places @ matrix.T + (30, 70)
    table = anndata.AnnData(obs=obs, obsm={"spatial": centres[:, ::-1]})
    return Section("HD", table, None, 0.5, 8.0, 8.0, "P")


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_pixel_lies_on_its_bin(viewer: Any, turn: float) -> None:
    section = bins(turn=turn)
    described = raster_layer(section)
    assert described is not None
    layer = viewer.add_image(described[0], **described[1])
    assert is_raster(layer)
    assert section_of(layer) is section
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    values = np.arange(section.table.n_obs, dtype=np.float32)
    recolour(layer, values, (0, 50), "magma")
    assert layer.contrast_limits == [0, 50]
    assert layer.colormap.name == "magma"
    for spot in (0, 57, 396):
        assert layer.get_value(section.centres_um[spot], world=True) == spot
    assert np.isnan(layer.get_value(layer.data_to_world((0, 0)), world=True))


def test_points_stay_points(section: Section) -> None:
    assert raster_layer(section) is None


def test_a_million_bins_take_another_gene_within_150_ms(viewer: Any) -> None:
    section = bins(side=1000)
    data, described, _ = raster_layer(section)
    layer = viewer.add_image(data, **described)
    values = np.random.default_rng(0).random(section.table.n_obs, dtype=np.float32)
    taken = []
    for limit in (1.0, 2.0, 3.0):
        start = time.process_time()
        recolour(layer, values, (0, limit), "magma")
        taken.append(time.process_time() - start)
    assert min(taken) < 0.15
