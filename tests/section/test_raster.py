"""Bins and grids as rasters."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import SectionError
from histoscribe.section import Section
from histoscribe.section.raster import raster_of

PITCH, MPP = 8.0, 0.25


def section(
    places: np.ndarray,
    *,
    turn: float = 0.0,
    spot_um: float = PITCH,
    by_name: bool = False,
    flip: bool = False,
) -> Section:
    import anndata
    import pandas as pd

    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * PITCH / MPP
    centres = (places * (1, -1 if flip else 1)) @ matrix.T + (300, 700)
    names = (
        [f"r{row}c{column}" for row, column in places] if by_name else [f"b{i}" for i in range(len(places))]
    )
    obs = pd.DataFrame(index=names)
    if not by_name:
        obs["array_row"], obs["array_col"] = places.T
    table = anndata.AnnData(obs=obs, obsm={"spatial": centres[:, ::-1]})
    return Section("S", table, None, MPP, spot_um, PITCH, "P")


def places(rows: int = 9, columns: int = 7) -> np.ndarray:
    found = np.argwhere(np.ones((rows, columns), dtype=bool)) + np.array([40, 3])
    return np.random.default_rng(1).permutation(found)[5:]


@pytest.mark.parametrize("turn", [0.0, 0.02, 1.3, -3.0])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("by_name", [False, True])
def test_every_spot_gets_the_pixel_that_lies_on_it(turn: float, flip: bool, by_name: bool) -> None:
    made = section(places(), turn=turn, by_name=by_name, flip=flip)
    raster = raster_of(made)
    assert raster is not None
    assert raster.shape == (9, 7)
    assert raster.step_um == pytest.approx(PITCH)
    rows, columns = np.unravel_index(raster.pixel, raster.shape)
    found = np.column_stack([rows, columns, np.ones(len(rows))]) @ raster.affine.T
    np.testing.assert_allclose(found[:, :2], made.centres_um, atol=1e-6)
    values = np.arange(len(rows), dtype=np.float32)
    image = raster.image(values)
    np.testing.assert_array_equal(image[rows, columns], values)
    assert np.isnan(image).sum() == 5


def test_spots_apart_hexagons_and_shuffled_places_are_no_raster() -> None:
    assert raster_of(section(places(), spot_um=5.0)) is None
    hexagons = np.array([(row, 2 * column + row % 2) for row in range(9) for column in range(7)])
    made = section(hexagons)
    made.table.obsm["spatial"] = made.table.obsm["spatial"] * (0.5, np.sqrt(3) / 2)
    assert raster_of(made) is None
    shuffled = section(places())
    shuffled.table.obs["array_row"] = np.random.default_rng(0).permutation(shuffled.table.obs["array_row"])
    assert raster_of(shuffled) is None
    twice = section(np.concatenate([places(), places()[:1]]))
    assert raster_of(twice) is None
    far = section(np.concatenate([places(), [[10**9, 10**9]]]))
    assert raster_of(far) is None
    unnamed = section(places())
    del unnamed.table.obs["array_row"]
    assert raster_of(unnamed) is None
    assert raster_of(section(places()[:3])) is None


def test_a_value_per_spot_is_asked_for() -> None:
    raster = raster_of(section(places()))
    assert raster is not None
    with pytest.raises(SectionError, match="values for 58 spots"):
        raster.image(np.zeros(57))
