"""What napari does not publish is used in one place, where it is known and wished, each with a fallback."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import histoscribe
from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.colours import UNITS
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.layers.strips import GENES
from histoscribe.widgets.napari_private import probe
from histoscribe.widgets.napari_private.probe import PLUGIN, Use, may, reach
from histoscribe.widgets.napari_private.window import added_in_turns, canvas_of, undrawn
from histoscribe.widgets.state.state import state_of

SOURCE = Path(histoscribe.__file__).parent
PRIVATE = SOURCE / "widgets" / "napari_private"


class Thing:
    """Something with an attribute and a call."""

    size = 1

    def add(self, event: object, *, twice: bool = False) -> None: ...


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    probe._is_known.cache_clear()
    yield
    probe._is_known.cache_clear()


@pytest.fixture
def preferences(plugin_settings: None, registered: None) -> Any:
    """The plugin's settings in a file of the test's own."""
    from napari.settings import get_plugin_settings

    return get_plugin_settings(PLUGIN)


def off(preferences: Any, use: Use) -> None:
    setattr(preferences.unpublished, use.value, False)


@pytest.mark.parametrize(
    ("names", "has"),
    [
        (("size", "add(event, twice)"), True),
        (("add",), True),
        (("add(event)",), False),
        (("add(twice, event)",), False),
        (("gone",), False),
        (("size()",), False),
    ],
)
def test_attributes_and_signatures_are_looked_at(names: tuple[str, ...], has: bool) -> None:
    assert may(Use.DISCS, (Thing(), names)) is has
    assert not may(Use.DISCS, (Thing(), names), (None, ("size",)))


@pytest.mark.parametrize(
    ("version", "known"), [("0.9.2", True), ("0.9.3rc1", True), ("0.10.0", False), ("0.9.1", False)]
)
def test_only_versions_that_were_looked_at_are_trusted(
    monkeypatch: pytest.MonkeyPatch, version: str, known: bool
) -> None:
    monkeypatch.setattr("napari.__version__", version)
    assert may(Use.DISCS, (Thing(), ("size",))) is known


def test_the_napari_at_hand_is_known() -> None:
    assert probe._is_known()


def test_what_is_missing_on_the_way_is_none() -> None:
    assert reach(Thing(), "size.real") == 1
    assert reach(Thing(), "window.canvas.native") is None


def test_each_use_has_a_preference_that_switches_it_off(preferences: Any) -> None:
    manifest = yaml.safe_load((SOURCE / "napari.yaml").read_text())
    offered = manifest["contributions"]["configurations"]["unpublished"]["properties"]
    assert set(offered) == {use.value for use in Use}
    assert all(one["default"] is True and one["type"] == "boolean" for one in offered.values())
    for use in Use:
        assert may(use)
        off(preferences, use)
        assert not may(use)


def test_without_the_plugin_or_with_damaged_preferences_the_uses_are_on(
    npe2pm: Any, preferences: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: str) -> None:
        raise ValueError("damaged")

    monkeypatch.setattr("napari.settings.get_plugin_settings", damaged)
    assert probe.plugin_settings() is None
    assert may(Use.DISCS)


@pytest.mark.viewer
def test_off_napari_draws_the_spots(
    make_napari_viewer: Any, preferences: Any, section: Section, own_settings: None
) -> None:
    off(preferences, Use.DISCS)
    window = make_napari_viewer()
    show(window, [section])
    (layer,) = spot_layers(window)
    assert canvas_of(window).layer_to_visual[layer].node.points_markers.draw.__name__ == "draw"
    drawn = canvas_of(window).layer_to_visual[layer]
    assert reach(drawn, "_on_data_change.__self__") is drawn
    assert len(np.unique(layer.face_color, axis=0)) > 1


@pytest.mark.viewer
def test_off_the_scale_gives_way_to_words(
    make_napari_viewer: Any, preferences: Any, section: Section, own_settings: None
) -> None:
    window = make_napari_viewer()
    show(window, [section])
    assert window.canvas.overlays[GENES].visible
    off(preferences, Use.COLOUR_SCALE)
    paint(window, state_of(window))
    assert not window.canvas.overlays[GENES].visible
    assert window.canvas.overlays.text.visible
    assert UNITS in window.canvas.overlays.text.text


@pytest.mark.viewer
def test_off_a_layer_is_added_at_once(make_napari_viewer: Any, preferences: Any, own_settings: None) -> None:
    off(preferences, Use.LAYERS_IN_TURNS)
    window = make_napari_viewer()
    turns, counts = added_in_turns(window, (np.zeros((3, 2)), {}, "points")), []
    with suppress(StopIteration):
        while True:
            next(turns)
            counts.append(len(window.layers))
    assert counts == [0]
    assert window.layers.selection.active is window.layers[0]


@pytest.mark.viewer
def test_a_napari_with_other_controls_makes_them_itself(
    make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch, own_settings: None
) -> None:
    monkeypatch.setattr(
        "histoscribe.widgets.napari_private.window._OF_CONTROLS", ("_add(event, of_a_later_version)",)
    )
    window = make_napari_viewer()
    for _ in added_in_turns(window, (np.zeros((3, 2)), {}, "points")):
        pass
    (layer,) = window.layers
    controls = reach(window, "window._qt_viewer.controls")
    assert controls.currentWidget() is controls.widgets[layer]


@pytest.mark.viewer
def test_off_each_change_is_drawn(make_napari_viewer: Any, preferences: Any, own_settings: None) -> None:
    off(preferences, Use.STILL_CANVAS)
    window = make_napari_viewer()
    with undrawn(window):
        assert canvas_of(window).native.updatesEnabled()


def offences(path: Path) -> list[str]:
    """Private attributes of others, and modules that are not published, in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not _is_own(node):
            found.append(f"{path.name}:{node.lineno} {node.attr}")
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
        found += [
            f"{path.name}:{node.lineno} {name}"
            for name in names
            if name.startswith("vispy") or (name.startswith("napari.") and "._" in name)
        ]
        if isinstance(node, ast.Constant) and node.value in ("_qt_viewer", "__wrapped__"):
            found.append(f"{path.name}:{node.lineno} {node.value}")
    return found


def _is_own(node: ast.Attribute) -> bool:
    inside = node.value
    if isinstance(inside, ast.Call) and isinstance(inside.func, ast.Name):
        return inside.func.id in ("super", "type")
    dunder = node.attr.startswith("__") and node.attr != "__wrapped__"
    return dunder or (isinstance(inside, ast.Name) and inside.id in ("self", "cls"))


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (SOURCE / "widgets").rglob("*.py") if PRIVATE not in path.parents),
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_nobody_else_touches_private_parts(path: Path) -> None:
    assert offences(path) == []


def test_the_check_finds_what_it_looks_for() -> None:
    assert len(offences(PRIVATE / "discs.py")) > 10
    assert len(offences(PRIVATE / "overlay.py")) > 2
