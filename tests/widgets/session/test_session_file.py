"""A damaged, foreign or hostile session file ends in one plain word."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager

from histoscribe.errors import StorageError
from histoscribe.progress import Progress
from histoscribe.section import Section, write_section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.contributions.readers import get_reader
from histoscribe.widgets.session.file import SUFFIX, read_content, write_content
from histoscribe.widgets.session.session import capture, restore
from histoscribe.widgets.session.sources import reopen
from histoscribe.widgets.state.state import state_of


@pytest.fixture
def full(viewer: Any, section: Section) -> ViewerModel:
    """A viewer with a section and a region."""
    show(viewer, [section])
    box = np.array([[20, 20], [20, 90], [80, 90], [80, 20]], float)
    viewer.add_shapes([box, box + 9], shape_type="polygon", units=("um", "um"))
    return viewer


def _nested(depth: int) -> Any:
    return [_nested(depth - 1)] if depth else 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(format="other"), "no session"),
        (lambda c: c.update(version=99), "version 99"),
        (lambda c: c.pop("layers"), "layers: Field required"),
        (lambda c: c["view"].update(zoom=float("nan")), "zoom"),
        (lambda c: c["view"].update(centre=[1]), "centre"),
        (lambda c: c["sources"].append(c["sources"][0]), "two sources"),
        (lambda c: c["layers"][-1]["drawn"].update(types=[]), "does not fit"),
        (lambda c: c["layers"][-1]["drawn"]["data"][0].append([1, 1e300]), "data"),
        (lambda c: c["layers"][-1].update(drawn=None), "drawn"),
        (lambda c: c["layers"][-1]["drawn"]["features"].update(deep=[_nested(60)]), "too deeply"),
        (lambda c: c["layers"][0].update(visible=1), "visible"),
        (lambda c: c["view"].update(gene="a\0b"), "gene"),
        (lambda c: c["view"].update(active=-1), "active"),
    ],
)
def test_damage_is_told(full: ViewerModel, tmp_path: Path, change: Callable[[Any], None], words: str) -> None:
    content = capture(full, state_of(full)).content
    path = tmp_path / f"s{SUFFIX}"
    write_content(content, path)
    damaged = json.loads(path.read_text())
    change(damaged)
    path.write_text(json.dumps(damaged))
    with pytest.raises(StorageError, match=words):
        read_content(path)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(part=st.sampled_from(["sources", "layers", "view"]), value=_ANY)
def test_whatever_stands_there_nothing_but_a_plain_word_comes(
    tmp_path_factory: pytest.TempPathFactory, part: str, value: Any
) -> None:
    path = tmp_path_factory.mktemp("odd") / f"s{SUFFIX}"
    sound = {"sources": [], "layers": [], "view": {}}
    path.write_text(json.dumps({"format": "histoscribe session", "version": 1, **sound, part: value}))
    with pytest.raises(StorageError):
        read_content(path)


@pytest.mark.parametrize("text", [b"", b"[", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}'])
def test_other_files_are_no_session(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / f"s{SUFFIX}"
    path.write_bytes(text)
    with pytest.raises(StorageError):
        read_content(path)
    assert get_reader(str(path)) is not None
    assert get_reader(str(tmp_path / "other.json")) is None
    assert get_reader([str(path), str(path)]) is None


SAVED_BEFORE = """
{"format": "histoscribe session", "version": 1, "sources": [{"id": "s0", "kind": "section",
"path": "measured.h5ad", "slide": "", "slide_downsample": 1.0, "mpp": 0.5, "name": "A1",
"spots": 6, "bin_um": null}, {"id": "s1", "kind": "section", "path": "predicted.h5ad", "slide": "",
"slide_downsample": 1.0, "mpp": 0.5, "name": "A1", "spots": 6, "bin_um": null}],
"layers": [{"source": "s0", "drawn": null, "name": "A1 measured", "visible": true, "opacity": 0.85,
"show": "spots"}, {"source": "s1", "drawn": null, "name": "A1 predicted", "visible": true,
"opacity": 0.85, "show": "spots"}, {"source": "", "drawn": {"data": [[[20.0, 20.0], [20.0, 90.0],
[80.0, 90.0], [80.0, 20.0]]], "types": ["polygon"], "edge_color": [[1.0, 0.0, 0.0, 1.0]],
"face_color": [[1.0, 1.0, 1.0, 1.0]], "edge_width": [1.0], "affine": [[1.0, 0.0, 0.0], [0.0, 1.0,
0.0], [0.0, 0.0, 1.0]], "units": "um", "features": {"class": ["Tumour"]}, "metadata": {}},
"name": "regions", "visible": true, "opacity": 0.7, "show": "shapes"}, {"source": "",
"drawn": {"data": [[10.0, 20.0]], "size": [5.0], "face_color": [[1.0, 1.0, 1.0, 1.0]],
"affine": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "units": "um", "features": {}},
"name": "marks", "visible": true, "opacity": 1.0, "show": "points"}, {"source": "s1",
"drawn": {"kind": "novelty", "title": "distance from the training tissue", "unit": "above 1",
"values": [0.0, 0.5, 1.0, 1.5, 2.0, null], "limits": [0.0, 2.0], "colours": "cividis", "gene": "",
"classes": [], "legend": ""}, "name": "A1: distance from the training tissue (above 1)",
"visible": true, "opacity": 1.0, "show": "map"}], "view": {"gene": "CD3E", "more": [],
"layout": "blend", "pinned": ["ERBB2"], "colour_map": "viridis", "low": 1.0, "high": 99.0,
"shared": true, "side_by_side": false, "centre": [40.0, 50.0], "zoom": 6.641363636363637,
"scale_bar": true, "active": 4}, "panels": [{"name": "Genes", "area": "right", "floating": false,
"tabbed_with": "", "front": false, "box": [-884, -1062, 384, 562], "choices": {"search": "",
"shown.layout_choice": "Blend their colours on each spot", "percentiles.low": 1.0,
"percentiles.high": 99.0, "colour_map": "viridis", "shared": true, "beside": false}, "own": {}},
{"name": "Regions", "area": "right", "floating": false, "tabbed_with": "Genes", "front": false,
"box": [-884, -1066, 384, 566], "choices": {"spots": {"layer": 1}, "drawn": {"layer": 2},
"analysis": 0, "analysis.first": "Tumour", "analysis.second": "all other spots"},
"own": {"classes": {"Tumour": [255, 0, 0]}, "marked": ""}}, {"name": "Compare", "area": "right",
"floating": false, "tabbed_with": "Genes", "front": false, "box": [-884, -1066, 384, 566],
"choices": {"measured": {"layer": 0}, "predicted": {"layer": 1}}, "own": {}}, {"name": "Evidence",
"area": "right", "floating": false, "tabbed_with": "Genes", "front": false, "box": [-884, -1066,
384, 566], "choices": {"row": 0, "rings": false, "maps.novelty": false, "maps.interval": false,
"maps.spatial": false, "maps.functional": false, "maps.types": false, "trace.model.combo": "",
"trace.behind": true, "tabs": 0}, "own": {}}, {"name": "Export", "area": "right",
"floating": false, "tabbed_with": "Genes", "front": true, "box": [705, 21, 384, 566],
"choices": {"dpi": 300, "layer": {"layer": 1}, "every_gene": false}, "own": {}}]}
"""
"""A session as version 0.1.0 wrote it, when panels kept their choices by the names of attributes."""


def test_a_session_saved_before_comes_back(
    make_section: Callable[..., Section], tmp_path: Path, viewer: ViewerModel
) -> None:
    for kind in ("measured", "predicted"):
        section = make_section("A1", kind)
        write_section(replace(section, table=section.table[:6].copy(), slide=None), tmp_path / f"{kind}.h5ad")
    path = tmp_path / f"old{SUFFIX}"
    path.write_text(SAVED_BEFORE, encoding="utf-8")
    found = reopen(path, Progress())
    assert found.lost == ()
    restore(viewer, found)
    names = [layer.name for layer in viewer.layers]
    kept = json.loads(SAVED_BEFORE)
    assert names == [layer["name"] for layer in kept["layers"]]
    assert notification_manager.records[-1].message == "The session is back."
    assert state_of(viewer).gene == "CD3E"
    assert state_of(viewer).pinned == ("ERBB2",)
    assert viewer.layers.selection.active is viewer.layers[4]
    assert [panel.name for panel in found.content.panels] == [panel["name"] for panel in kept["panels"]]
    np.testing.assert_allclose(viewer.layers[2].data[0], [[20, 20], [20, 90], [80, 90], [80, 20]])
    again = tmp_path / f"again{SUFFIX}"
    write_content(found.content, again)
    written = json.loads(again.read_text())
    assert written["view"] == kept["view"] | {"fixed": {}}
    assert written["panels"] == kept["panels"]
    assert [layer.get("drawn") for layer in written["layers"]] == [layer["drawn"] for layer in kept["layers"]]
