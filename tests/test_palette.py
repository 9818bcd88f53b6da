"""The scale bar of every figure: a round length that fits, in the unit of the axes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from matplotlib.figure import Figure

from histoscribe.palette import round_length, scale_bar


@given(st.floats(1e-6, 1e9))
def test_bars_have_round_lengths_that_fit(most: float):
    length = round_length(most)
    assert most / 2.5 * (1 - 1e-6) <= length <= most * (1 + 1e-6)
    assert f"{length:.0e}"[0] in "125"


@pytest.mark.parametrize(
    ("most", "unit", "words"),
    [(2600, "µm", "2 mm"), (990, "µm", "500 µm"), (0.3, "µm", "0.2 µm"), (2600, "pixels", "2000 pixels")],
)
@pytest.mark.parametrize("inside", [True, False])
def test_a_bar_says_how_long_it_is(most: float, unit: str, words: str, inside: bool):
    axes = Figure().subplots()
    scale_bar(axes, 10, 20, most, unit=unit, inside=inside)
    (line,), (label,) = axes.lines, axes.texts
    left, right = line.get_xdata()
    assert left == 10
    assert right - left == pytest.approx(round_length(most))
    assert label.get_text() == words
