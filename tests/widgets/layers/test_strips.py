"""The colour scale in the canvas: there for whatever is painted, true in its colours, and cheap."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.colours import BLEND, DIFFERENCE, UNITS, table_of
from histoscribe.widgets.layers.painting import paint
from histoscribe.widgets.layers.strips import (
    _MARGIN,
    _WIDTH,
    GENES,
    Scale,
    height_of,
    show_scale,
    strips_of,
)
from histoscribe.widgets.state.state import state_of

MakeSection = Callable[..., Section]


def test_a_strip_for_each_gene_and_limits_where_they_are_shared(
    viewer: Any, make_section: MakeSection
) -> None:
    show(viewer, [make_section(kind="measured"), make_section(kind="predicted")])
    state = state_of(viewer)
    state.choose("CD3E")
    limits = paint(viewer, state)
    assert viewer.canvas.overlays[GENES].draw.strips == tuple(strips_of(viewer, state, limits))
    ((words, colours, ends),) = strips_of(viewer, state, limits)
    assert (words, colours, ends) == (f"CD3E, {UNITS}", "viridis", next(iter(limits.values()))["CD3E"])
    state.shared = False
    ((words, _, ends),) = strips_of(viewer, state, paint(viewer, state))
    assert (words, ends) == ("CD3E, own limits on each layer", None)
    state.add("EPCAM")
    assert [colours for _, colours, _ in strips_of(viewer, state, paint(viewer, state))] == [0, 1]


def test_nothing_painted_is_no_scale(viewer: Any, section: Section) -> None:
    assert show_scale(viewer, [])
    assert GENES not in viewer.canvas.overlays
    show(viewer, [section])
    overlay = viewer.canvas.overlays[GENES]
    assert overlay.visible
    assert not viewer.canvas.overlays.text.visible
    state = state_of(viewer)
    state.choose("NOT_THERE")
    paint(viewer, state)
    assert not overlay.visible


def test_another_napari_shows_words(viewer: Any, section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscribe.widgets.napari_private.overlay.visual", None)
    show(viewer, [section])
    assert viewer.canvas.overlays.text.visible
    assert UNITS in viewer.canvas.overlays.text.text


@pytest.mark.viewer
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_a_fine_screen_gets_a_fine_picture(qapp: Any, ratio: float) -> None:
    strips = [("EPCAM", 1, (0.0, 1.0)), ("difference", DIFFERENCE, None)]
    pixels = Scale(tuple(strips))(QColor(0, 0, 0), QColor(255, 255, 255), ratio, 800)
    assert pixels.shape == ((height_of(strips) + _MARGIN) * ratio, (_WIDTH + 2 * _MARGIN) * ratio, 4)
    row, last = round((_MARGIN + 7) * ratio), round((_MARGIN + _WIDTH - 2) * ratio)
    np.testing.assert_allclose(pixels[row, last, :3] / 255, BLEND[1], atol=0.03)


@pytest.mark.viewer
def test_long_names_get_room(qapp: Any) -> None:
    short, long = (
        Scale(((f"{name}, {UNITS}", 1, (0.0, 12.5)),))(QColor(0, 0, 0), QColor(255, 255, 255), 1.0, 800)
        for name in ("EPCAM", "ENSG00000119888.11_EPCAM_probe")
    )
    assert short.shape[1] == _WIDTH + 2 * _MARGIN < long.shape[1]
    words = long[_MARGIN + 15 :, :, :3].max(axis=(0, 2)) > 128
    gaps = np.diff(np.flatnonzero(words))
    assert np.sort(gaps)[-2] >= 5


@pytest.mark.viewer
def test_the_canvas_and_its_screenshot_show_it(make_napari_viewer: Any, section: Section) -> None:
    window = make_napari_viewer(show=True)
    show(window, [section])
    window.canvas.overlays.scale_bar.visible = False
    for colour_map in ("viridis", "magma"):
        state_of(window).colour_map = colour_map
        paint(window, state_of(window))
        seen = window.screenshot(canvas_only=True, flash=False)[..., :3] / 255
        padding = window.canvas.overlay_tiling.padding[0]
        row = round(len(seen) - padding - height_of([()])) + 7
        for share in (0.1, 0.5, 0.9):
            column = round(seen.shape[1] - padding - _MARGIN - (1 - share) * _WIDTH)
            wanted = table_of(colour_map)[round(share * 255), :3]
            np.testing.assert_allclose(seen[row, column], wanted, atol=0.04)
    window.layers.clear()
    paint(window, state_of(window))
    assert not window.canvas.overlays[GENES].visible


@pytest.mark.viewer
def test_a_gene_costs_the_canvas_less_than_3_ms(make_napari_viewer: Any, section: Section) -> None:
    window = make_napari_viewer(show=True)
    show(window, [section])
    ((_, colours, limits),) = window.canvas.overlays[GENES].draw.strips
    taken = []
    for gene in map(str, range(30)):
        start = time.process_time()
        show_scale(window, [(f"{gene}, {UNITS}", colours, limits)])
        taken.append(time.process_time() - start)
    assert np.median(taken) < 0.003


@pytest.mark.viewer
@pytest.mark.parametrize("room", [70, 160])
def test_little_room_cuts_no_limit(qapp: Any, room: int) -> None:
    strips = ((f"EPCAM, {UNITS}", 1, (-2.25, 12.5)),)
    pixels = Scale(strips)(QColor(0, 0, 0), QColor(255, 255, 255), 2.0, room)
    assert pixels.shape[1] == 2 * room
    words = np.flatnonzero(pixels[2 * (_MARGIN + 15) :, :, :3].max(axis=(0, 2)) > 128)
    assert words[0] >= 2 * _MARGIN
    assert words[-1] < 2 * (room - _MARGIN)
    assert np.diff(words).max() >= 6


@pytest.mark.viewer
@pytest.mark.parametrize("wide", [100, 380])
def test_a_narrow_canvas_has_room_for_strip_and_scale_bar(
    make_napari_viewer: Any, section: Section, wide: int
) -> None:
    window = make_napari_viewer(show=True)
    show(window, [section])
    canvas = window.window._qt_viewer.canvas
    canvas.native.setFixedSize(wide, 420)
    window.screenshot(flash=False)
    QApplication.processEvents()
    drawn = [canvas._viewer_overlay_to_visual[window.canvas.overlays[key]][0] for key in (GENES, "scale_bar")]
    (left, top), (_, below) = (one.node.transform.translate[:2] for one in drawn)
    assert left >= 0
    assert left + drawn[0].x_size <= wide
    assert top + drawn[0].y_size <= below or below + drawn[1].y_size <= top
