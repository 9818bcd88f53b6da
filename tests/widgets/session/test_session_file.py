"""A damaged, foreign or hostile session file ends in one plain word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from napari.components import ViewerModel

from histoscribe.errors import StorageError
from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.contributions.readers import get_reader
from histoscribe.widgets.session.file import SUFFIX, read_content, write_content
from histoscribe.widgets.session.session import capture
from histoscribe.widgets.state.state import state_of


@pytest.fixture
def full(viewer: Any, section: Section) -> ViewerModel:
    """A viewer with a section and a region."""
    show(viewer, [section])
    box = np.array([[20, 20], [20, 90], [80, 90], [80, 20]], float)
    viewer.add_shapes([box, box + 9], shape_type="polygon", units=("um", "um"))
    return viewer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(format="other"), "no session"),
        (lambda c: c.update(version=99), "version 99"),
        (lambda c: c.pop("layers"), "layers is no list"),
        (lambda c: c["view"].update(zoom=float("nan")), "zoom"),
        (lambda c: c["view"].update(centre=[1]), "centre"),
        (lambda c: c["sources"].append(c["sources"][0]), "two sources"),
        (lambda c: c["layers"][-1]["drawn"].update(types=[]), "does not fit"),
        (lambda c: c["layers"][-1]["drawn"]["data"][0].append([1, 1e300]), "data"),
        (lambda c: c["layers"][-1].update(drawn=None), "no object"),
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


@settings(max_examples=60, deadline=None)
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
