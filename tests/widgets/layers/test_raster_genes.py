"""Rasters in the panels: several genes at once, side by side, and measured beside predicted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section, log_gene
from histoscribe.widgets.layers.arrangement import side_by_side
from histoscribe.widgets.layers.colours import DIFFERENCE, blended, table_of
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.layers.raster import PLAIN, is_raster
from histoscribe.widgets.state.state import state_of

GENES = ("EPCAM", "ERBB2", "COL1A1", "CD3E")


def bins(kind: str = "measured", side: int = 24, seed: int = 0, genes: tuple[str, ...] = GENES) -> Section:
    """Bins of 8 µm with a pattern for each gene, some missing at one corner."""
    import anndata
    import pandas as pd

    places = np.argwhere(np.ones((side, side), dtype=bool))[5:]
    obs = pd.DataFrame(
        {"array_row": places[:, 0], "array_col": places[:, 1]},
        index=[f"b{row}_{column}" for row, column in places],
    )
    rng = np.random.default_rng(seed)
    waves = [np.sin(places[:, 0] / (2 + n)) + np.cos(places[:, 1] / (3 + n)) + 2 for n in range(len(genes))]
    x = rng.poisson(3 * np.stack(waves, axis=1)).astype(np.float32)
    table = anndata.AnnData(
        x if kind == "measured" else np.log1p(x),
        obs=obs,
        var=pd.DataFrame(index=list(genes)),
        obsm={"spatial": (places * 16.0 + (30, 70))[:, ::-1]},
        uns={"histoscribe": {"kind": kind, "name": "HD"}},
    )
    return Section("HD", table, None, 0.5, 8.0, 8.0, "P")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Already a few bins are drawn as a raster."""
    monkeypatch.setattr("histoscribe.widgets.layers.opened.MOST_POINTS", 100)


@pytest.fixture
def shown(viewer: Any, few: None) -> Any:
    from histoscribe.widgets.contributions.launch import show

    show(viewer, [bins()])
    return viewer


def test_several_genes_are_blended_as_on_points(shown: Any) -> None:
    (layer,) = spot_layers(shown)
    section, state = layer.metadata["section"], state_of(shown)
    state.choose("EPCAM")
    state.add("CD3E")
    bounds = paint(shown, state)[layer.name]
    assert layer.rgb
    assert layer.data.shape == (24, 24, 4)
    inks = blended([(log_gene(section, gene), bounds[gene]) for gene in ("EPCAM", "CD3E")])
    np.testing.assert_allclose(layer.data.reshape(-1, 4)[5:] / 255, inks, atol=0.003)
    assert (layer.data[0, :5] == 0).all()
    for spot in (0, 100, 500):
        value = layer.get_value(section.centres_um[spot], world=True)
        np.testing.assert_allclose(np.asarray(value) / 255, inks[spot], atol=0.003)


def test_one_gene_again_shows_values_and_its_colours(shown: Any) -> None:
    (layer,) = spot_layers(shown)
    state = state_of(shown)
    state.choose("EPCAM")
    state.add("CD3E")
    paint(shown, state)
    state.drop("EPCAM")
    state.colour_map = "magma"
    bounds = paint(shown, state)[layer.name]
    assert not layer.rgb
    assert layer.colormap.name == "magma"
    assert tuple(layer.contrast_limits) == pytest.approx(bounds["CD3E"])
    values = log_gene(layer.metadata["section"], "CD3E")
    assert layer.get_value(layer.metadata["section"].centres_um[77], world=True) == values[77]
    assert np.isnan(layer.data[0, 0])


def test_genes_that_it_lacks(shown: Any) -> None:
    (layer,) = spot_layers(shown)
    state = state_of(shown)
    state.choose("EPCAM")
    state.add("NOT_THERE")
    paint(shown, state)
    assert layer.rgb
    state.choose("NOT_THERE")
    paint(shown, state)
    assert not layer.rgb
    assert layer.colormap.name == PLAIN
    assert np.nanmax(layer.data) == np.nanmin(layer.data) == 0.25


def test_each_gene_gets_a_raster_of_its_own(shown: Any) -> None:
    state = state_of(shown)
    state.choose("EPCAM")
    state.add("CD3E")
    state.layout = "multiples"
    side_by_side(shown, True, state.genes[1:])
    paint(shown, state)
    rasters = [layer for layer in shown.layers if is_raster(layer)]
    assert [layer.metadata.get("gene") for layer in rasters] == [None, "CD3E"]
    assert not any(layer.rgb for layer in rasters)
    assert not np.array_equal(rasters[0].data, rasters[1].data, equal_nan=True)


@pytest.mark.viewer
def test_the_canvas_shows_blends_and_single_genes_in_turn(make_napari_viewer: Any, few: None) -> None:
    from histoscribe.widgets.contributions.launch import show

    window = make_napari_viewer(show=True)
    show(window, [bins()])
    (layer,) = spot_layers(window)
    layer.opacity = 1
    state = state_of(window)
    for genes in (("EPCAM",), ("EPCAM", "CD3E"), ("ERBB2",), ("ERBB2", "COL1A1", "CD3E")):
        state.gene, state.more = genes[0], genes[1:]
        bounds = paint(window, state)[layer.name]
        seen = window.screenshot(canvas_only=True, flash=False)
        middle = np.array(seen.shape[:2]) / 2
        for spot in (60, 150, 300):  # above the scales
            place = layer.metadata["section"].centres_um[spot] - window.scene.camera.center[-2:]
            row, column = np.round(middle + place * window.scene.camera.zoom).astype(int)
            values = {gene: log_gene(layer.metadata["section"], gene)[spot] for gene in genes}
            if len(genes) == 1:
                low, high = bounds[genes[0]]
                share = np.clip((values[genes[0]] - low) / (high - low), 0, 1)
                wanted = table_of(state.colour_map)[round(share * 255)][:3]
            else:
                ink = blended([(np.array([values[gene]]), bounds[gene]) for gene in genes])[0]
                wanted = ink[:3] * ink[3]  # on a black canvas
            np.testing.assert_allclose(seen[row, column, :3] / 255, wanted, atol=0.05)


@pytest.mark.viewer
@pytest.mark.usefixtures("own_settings")
def test_measured_and_predicted_rasters_are_compared(
    viewer: Any, panel_for: Callable[[str], Any], qtbot: Any, few: None
) -> None:
    from histoscribe.widgets.contributions.launch import show

    measured, predicted = bins(), bins("predicted", seed=1)
    show(viewer, [measured, predicted])
    panel = panel_for("Compare")
    assert [one.value.name for one in (panel.measured, panel.predicted)] == [
        "HD measured",
        "HD predicted",
    ]
    panel.run_button.click()
    qtbot.waitUntil(lambda: panel.compared is not None and not panel.tasks.running, timeout=60_000)
    (difference,) = [layer for layer in viewer.layers if DIFFERENCE in layer.metadata]
    assert is_raster(difference)
    gene = state_of(viewer).gene
    wanted = log_gene(predicted, gene) - log_gene(measured, gene)
    np.testing.assert_allclose(difference.data.ravel()[5:], wanted, atol=1e-6)
    low, high = difference.contrast_limits
    assert low == -high
    np.testing.assert_allclose(
        difference.colormap.map([0.0, 0.5, 1.0])[:, :3], table_of(DIFFERENCE)[[0, 128, 255], :3], atol=0.01
    )
    assert viewer.canvas.grid.enabled
    layer, rows = panel._pair[0], panel.compared.match.measured[np.arange(40)]
    panel.scatter.lassoed.emit(np.arange(40))
    assert layer.rgb
    np.testing.assert_allclose(
        layer.data.reshape(-1, 4)[5 + rows] / 255, [[0.88, 0.48, 0.25, 1]] * 40, atol=0.01
    )
    panel.scatter.lassoed.emit(np.zeros(0, dtype=np.intp))
    assert not layer.rgb
    assert layer.get_value(measured.centres_um[rows[0]], world=True) == log_gene(measured, gene)[rows[0]]
    corners = measured.centres_um[panel.compared.match.measured]
    low, high = corners.min(axis=0), corners.mean(axis=0)
    panel._on_tissue_lasso(np.array([low - 1, (low[0] - 1, high[1]), high, (high[0], low[1] - 1)]))
    assert len(panel.scatter.marked) > 50


def test_a_million_bins_are_blended_within_half_a_second(viewer: Any) -> None:
    from histoscribe.widgets.layers.raster import paint_raster, raster_layer

    section = bins(side=1000, genes=("A",))
    data, described, _ = raster_layer(section)
    layer = viewer.add_image(data, **described)
    rng = np.random.default_rng(0)
    values = {gene: rng.random(section.table.n_obs, dtype=np.float32) for gene in "ABC"}
    taken = []
    for high in (1.0, 2.0):
        start = time.process_time()
        paint_raster(layer, "ABC", values, dict.fromkeys("ABC", (0.0, high)), "viridis")
        taken.append(time.process_time() - start)
    assert min(taken) < 0.5


@pytest.mark.viewer
@pytest.mark.usefixtures("own_settings")
def test_regions_count_bins(viewer: Any, panel_for: Callable[[str], Any], few: None) -> None:
    from histoscribe.widgets.contributions.launch import show

    section = bins()
    show(viewer, [section])
    panel = panel_for("Regions")
    panel.add_class()
    panel.draw("add_polygon")
    low, high = section.centres_um.min(axis=0) - 4, section.centres_um.mean(axis=0)
    panel.drawn.value.add_polygons(np.array([low, (low[0], high[1]), high, (high[0], low[1])]))
    panel.drawn.value.mode = "pan_zoom"
    inside = ((section.centres_um > low) & (section.centres_um < high)).all(axis=1).sum()
    assert (panel.classed().labels != "").sum() == inside > 100
