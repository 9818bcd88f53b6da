"""What the shell prints."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given, strategies as st

from histoscribe.cli.console import caution, emit, show
from histoscribe.files import plain


@dataclass(frozen=True)
class Fact:
    where: Path
    value: float


def test_emit_writes_one_json_object_and_nothing_else(capsys):
    emit({"fact": Fact(Path("a/b"), math.nan), "array": np.arange(3, dtype=np.int32), "on": np.True_})
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out) == {"fact": {"where": "a/b", "value": None}, "array": [0, 1, 2], "on": True}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.floats(width=32).map(np.float32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_whatever_comes_is_strict_json(value):
    json.dumps(plain(value), allow_nan=False)


def test_empty_facts_are_left_out_and_markup_is_harmless(capsys):
    show("Title", [("name", "[red]x[/wrong]"), ("nothing", None), ("none", []), ("count", 0)])
    shown = capsys.readouterr().out
    assert "[red]x[/wrong]" in shown
    assert "nothing" not in shown
    assert "count" in shown


def test_cautions_go_to_standard_error(capsys):
    caution(["the pitch [does] not fit"])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "the pitch [does] not fit" in shown.err
