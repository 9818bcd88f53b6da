"""Maps in a session: they come back as they were painted, wherever they lay, and damage is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import notification_manager

from histoscribe.errors import StorageError
from histoscribe.progress import Progress
from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers import opened
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import affine_of, section_of
from histoscribe.widgets.layers.maps import Map, map_of, maps_on, show_map
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.session import session
from histoscribe.widgets.session.file import SUFFIX, read_content
from histoscribe.widgets.session.session import capture, restore
from histoscribe.widgets.session.sources import reopen, write_session
from histoscribe.widgets.state.state import state_of

Change = Callable[[Any], None]


def traced(spots: int) -> Map:
    values = np.linspace(-1, 1, spots, dtype=np.float32)
    values[1] = np.nan
    return Map("tiles behind", "EPCAM behind r0", "log expression", values, (-0.5, 0.5), DIFFERENCE, "EPCAM")


def types(spots: int) -> Map:
    return Map("spot_type", "spot type", "from the image", np.arange(spots) % 2, classes=("fat", "stroma"))


@pytest.fixture
def mapped(make_section: Callable[..., Section]) -> ViewerModel:
    """A viewer with a prediction, a traced gene beneath its spots, and spot types above them."""
    viewer = ViewerModel()
    show(viewer, [make_section("A1", "predicted")])
    (spots,) = spot_layers(viewer)
    count = section_of(spots).table.n_obs
    lower = show_map(viewer, spots, traced(count))
    lower.opacity = 0.7
    viewer.layers.move(viewer.layers.index(lower), viewer.layers.index(spots))
    show_map(viewer, spots, types(count))
    return viewer


def saved(viewer: ViewerModel, folder: Path) -> Path:
    return write_session(capture(viewer, state_of(viewer)), folder / f"s{SUFFIX}", Progress())


def brought_back(path: Path) -> ViewerModel:
    viewer = ViewerModel()
    restore(viewer, reopen(path, Progress()))
    return viewer


def looks(layer: Layer) -> tuple[Any, ...]:
    return layer.name, layer.visible, layer.opacity, type(layer)


def test_maps_come_back_where_they_lay(mapped: ViewerModel, tmp_path: Path) -> None:
    spot_layers(mapped)[0].translate = (30, 40)
    (first, *_) = (layer for layer in mapped.layers if map_of(layer) is not None)
    first.translate, first.rotate = (12, 7), 20
    back = brought_back(saved(mapped, tmp_path))
    assert [looks(layer) for layer in back.layers] == [looks(layer) for layer in mapped.layers]
    assert len(maps_on(back, section_of(spot_layers(back)[0]))) == 2
    for old, new in zip(mapped.layers, back.layers, strict=True):
        np.testing.assert_allclose(affine_of(new), affine_of(old), atol=1e-6)
        if map_of(old) is not None:
            np.testing.assert_allclose(new.face_color, old.face_color, atol=0.02)
            np.testing.assert_allclose(map_of(new).values, map_of(old).values, atol=1e-6)
            assert vars(replace(map_of(new), values=())) == vars(replace(map_of(old), values=()))
    assert notification_manager.records[-1].message == "The session is back."


def test_maps_of_many_bins_come_back_as_pictures(
    make_section: Callable[..., Section], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "MOST_POINTS", 10)
    viewer, section = ViewerModel(), make_section("A1", "predicted")
    side = round(section.table.n_obs**0.5)
    section.table.obs_names = [f"r{row}c{column}" for row in range(side) for column in range(side)]
    data, described, _ = opened.shown_spots(replace(section, spot_um=20.0))
    bins = viewer.add_image(data, **described)
    for found in (traced(side**2), types(side**2)):
        show_map(viewer, bins, found)
    back = brought_back(saved(viewer, tmp_path))
    assert [type(layer) for layer in back.layers] == [Image, Image, Labels]
    assert [looks(layer) for layer in back.layers] == [looks(layer) for layer in viewer.layers]
    for old, new in zip(viewer.layers, back.layers, strict=True):
        np.testing.assert_allclose(new.data, old.data, atol=1e-6)


def test_maps_beyond_what_a_file_should_hold_are_named(
    mapped: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spots = section_of(spot_layers(mapped)[0]).table.n_obs
    monkeypatch.setattr(session, "MOST_NUMBERS", 3 * spots)
    captured = capture(mapped, state_of(mapped))
    assert [layer.show for layer in captured.content.layers].count("map") == 1
    (left_out,) = captured.left_out
    assert left_out in [layer.name for layer in mapped.layers if map_of(layer) is not None]


def damaged(path: Path, change: Change) -> Path:
    content = json.loads(path.read_text())
    maps = [layer["drawn"] for layer in content["layers"] if layer["show"] == "map"]
    change(next(one for one in maps if one["classes"]))
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda drawn: drawn["values"].pop(),
        lambda drawn: drawn.update(colours="jet"),
        lambda drawn: drawn["values"].__setitem__(0, 2),
        lambda drawn: drawn["values"].__setitem__(0, None),
    ],
)
def test_a_map_that_does_not_fit_is_told_and_the_rest_loads(
    mapped: ViewerModel, tmp_path: Path, change: Change
) -> None:
    back = brought_back(damaged(saved(mapped, tmp_path), change))
    assert len(back.layers) == len(mapped.layers) - 1
    assert "spot type" in notification_manager.records[-1].message


@pytest.mark.parametrize(
    "change", [lambda drawn: drawn.pop("unit"), lambda drawn: drawn.update(values=["a"])]
)
def test_a_map_that_is_none_is_refused(mapped: ViewerModel, tmp_path: Path, change: Change) -> None:
    with pytest.raises(StorageError, match="the session is damaged"):
        read_content(damaged(saved(mapped, tmp_path), change))
