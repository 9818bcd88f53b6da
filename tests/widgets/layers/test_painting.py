"""Painting: the right values, shared limits, plain spots where a gene is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Points

from histoscribe.section import Section, log_gene
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.colours import colours_of, spread
from histoscribe.widgets.layers.painting import (
    paint,
    seen_strips,
    spot_layers,
    suggested_gene,
)
from histoscribe.widgets.layers.strips import GENES
from histoscribe.widgets.layers.view_state import ViewState
from histoscribe.widgets.state.state import state_of

MakeSection = Callable[..., Section]


def test_measured_counts_are_put_on_the_scale_of_predictions(section: Section) -> None:
    counts = section.table.X.toarray()
    expected = np.log1p(counts[:, 1] / counts.sum(axis=1) * 1e4)
    np.testing.assert_allclose(log_gene(section, "ERBB2"), expected, rtol=1e-6)


def test_predicted_values_are_shown_as_they_are(make_section: MakeSection) -> None:
    predicted = make_section(kind="predicted")
    np.testing.assert_allclose(log_gene(predicted, "CD3E"), predicted.table.X[:, 3])


def test_a_spot_without_counts_is_zero(section: Section) -> None:
    counts = section.table.X.tolil()
    counts[0] = 0
    section.table.X = counts.tocsr()
    assert log_gene(section, "EPCAM")[0] == 0


def test_shared_limits_span_measured_and_predicted(viewer: Any, make_section: MakeSection) -> None:
    measured, predicted = make_section(), make_section(kind="predicted")
    show(viewer, [measured, predicted])
    shared = paint(viewer, ViewState(gene="EPCAM", low=0, high=100))
    assert len(shared) == 2
    assert len({shown["EPCAM"] for shown in shared.values()}) == 1
    low, high = next(iter(shared.values()))["EPCAM"]
    both = np.concatenate([log_gene(one, "EPCAM") for one in (measured, predicted)])
    assert (low, high) == (pytest.approx(both.min()), pytest.approx(both.max()))
    own = paint(viewer, ViewState(gene="EPCAM", low=0, high=100, shared=False))
    assert len({shown["EPCAM"] for shown in own.values()}) == 2


def test_layers_are_painted_with_the_gene_as_their_feature(viewer: Any, section: Section) -> None:
    show(viewer, [section])
    (layer,) = spot_layers(viewer)
    for gene in ("EPCAM", "CD3E"):
        paint(viewer, ViewState(gene=gene, colour_map="cividis"))
        assert list(layer.features) == [gene]
        np.testing.assert_allclose(layer.features[gene], log_gene(section, gene))
        values = layer.features[gene].to_numpy()
        expected = colours_of(values, spread(values), "cividis")
        np.testing.assert_allclose(layer.face_color, expected, atol=1e-6)
    assert viewer.canvas.overlays.text.text.startswith("CD3E ")


def test_spots_that_all_stay_grey_have_no_scale(viewer: Any, make_section: MakeSection) -> None:
    predicted = make_section(kind="predicted")
    predicted.table.obs["unlike_training"] = True
    show(viewer, [predicted])
    state = state_of(viewer)
    assert paint(viewer, state) == {}
    assert seen_strips(viewer) == []
    assert GENES not in viewer.canvas.overlays
    state.unlike = True
    paint(viewer, state)
    assert viewer.canvas.overlays[GENES].visible


def test_a_layer_that_lacks_the_gene_turns_plain(viewer: Any, make_section: MakeSection) -> None:
    show(viewer, [make_section("A1"), make_section("B1", genes=("EPCAM", "CD19"))])
    paint(viewer, ViewState(gene="EPCAM"))
    paint(viewer, ViewState(gene="CD19"))
    without, having = spot_layers(viewer)
    assert len(np.unique(having.face_color, axis=0)) > 1
    assert len(np.unique(without.face_color, axis=0)) == 1
    assert list(without.features) == []


def test_limits_are_never_empty() -> None:
    assert spread(np.zeros(5, np.float32)) == (0.0, 1.0)
    assert spread(np.array([], np.float32)) == (0.0, 1.0)
    rare = np.zeros(1000, np.float32)
    rare[0] = 3
    assert spread(rare) == (0.0, 3.0)


def test_the_suggested_gene_has_a_pattern_and_is_shared(make_section: MakeSection) -> None:
    section = make_section(kind="predicted")
    section.table.X[:, 2] = np.linspace(0, 6, section.table.n_obs)
    assert suggested_gene([section]) == "COL1A1"
    assert suggested_gene([section, make_section(kind="predicted", genes=("EPCAM",))]) == "EPCAM"
    assert suggested_gene([section, make_section(kind="predicted", genes=("CD19",))]) == ""


def test_the_best_held_out_gene_is_suggested_where_known(make_section: MakeSection) -> None:
    predicted = make_section(kind="predicted")
    predicted.table.var["held_out_r"] = np.array([0.1, np.nan, 0.2, 0.6, 0.3], np.float32)
    assert suggested_gene([make_section(), predicted]) == "CD3E"
    assert suggested_gene([make_section(genes=("EPCAM", "ERBB2")), predicted]) == "EPCAM"


def test_a_prediction_has_no_say_in_what_is_suggested(make_section: MakeSection) -> None:
    measured, predicted = make_section(), make_section(kind="predicted")
    alone = suggested_gene([measured])
    predicted.table.X[:, 4] = np.linspace(0, 60, predicted.table.n_obs)
    assert suggested_gene([predicted, measured]) == alone


def test_measured_and_predicted_lie_side_by_side_on_repeated_tissue(
    viewer: Any, make_section: MakeSection
) -> None:
    measured = make_section()
    predicted = make_section(kind="predicted", slide=measured.slide)
    show(viewer, [measured, predicted])
    grid = viewer.canvas.grid
    assert grid.enabled
    assert grid.actual_shape(viewer.layers) == (1, 2)
    cells = [[viewer.layers[i].name for i in found] for _, found in grid.iter_viewboxes(viewer.layers)]
    assert cells == [["A1 H&E", "A1 measured"], ["A1 H&E, repeated", "A1 predicted"]]


def test_a_prediction_without_slide_borrows_it(viewer: Any, make_section: MakeSection) -> None:
    from dataclasses import replace

    show(viewer, [make_section(), replace(make_section(kind="predicted"), slide=None)])
    assert len(viewer.layers) == 4


def test_stacking_again_leaves_no_copies(viewer: Any, make_section: MakeSection) -> None:
    from histoscribe.widgets.layers.arrangement import side_by_side

    measured = make_section()
    show(viewer, [measured, make_section(kind="predicted", slide=measured.slide)])
    side_by_side(viewer, True)
    assert len(viewer.layers) == 4
    side_by_side(viewer, False)
    assert [layer.name for layer in viewer.layers] == ["A1 H&E", "A1 measured", "A1 predicted"]
    assert not viewer.canvas.grid.enabled


def test_without_any_slide_nothing_lies_beneath_the_panes(viewer: Any, make_section: MakeSection) -> None:
    from dataclasses import replace

    from histoscribe.widgets.layers.arrangement import side_by_side

    measured, predicted = (
        replace(make_section(kind=kind), slide=None, name="B2") for kind in ("measured", "predicted")
    )
    show(viewer, [measured, predicted])
    side_by_side(viewer, True)
    assert len(viewer.layers) == 2
    grid = viewer.canvas.grid
    assert (grid.enabled, grid.stride, grid.shape) == (True, 1, (1, 2))


def test_each_viewer_has_its_own_state_and_a_closed_one_is_forgotten(viewer: Any) -> None:
    import gc
    import weakref

    from napari.components import ViewerModel
    from napari.utils._proxies import PublicOnlyProxy

    state_of(viewer).gene = "EPCAM"
    assert state_of(PublicOnlyProxy(viewer)) is state_of(viewer)
    other = ViewerModel()
    state = weakref.ref(state_of(other))
    assert state_of(other).gene == ""
    del other
    gc.collect()
    assert state() is None


def test_only_what_changes_is_shown_or_hidden() -> None:
    from histoscribe.widgets.layers.arrangement import show_only

    layers = [Points(np.zeros((1, 2)), visible=visible) for visible in (True, True, False, False)]
    told: list[int] = []
    for place, layer in enumerate(layers):
        layer.events.visible.connect(lambda _, place=place: told.append(place))
    show_only(layers, [layers[0], layers[2]])
    assert [layer.visible for layer in layers] == [True, False, True, False]
    assert told == [1, 2]
