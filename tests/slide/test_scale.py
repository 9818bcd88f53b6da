"""Scales: numbers as people write them, and what cannot be true."""

from __future__ import annotations

import pytest
import tifffile
from hypothesis import given, strategies as st

from histoscribe.slide import open_slide
from histoscribe.slide.scale import believable, positive, stated_after, um_of


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_number_is_read_in_any_spelling(value):
    assert positive(value) == positive(repr(value)) == positive(f" {value!r} ".replace(".", ",")) == value
    assert stated_after(r"MPP = ", f"x|MPP = {value!r}|y = 3") == value
    assert positive(f"{value:e}") == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    "value", ["", "-1", "0", "nan", "inf", "a", "1.2.3", None, True, [1], 10**400, "1e999"]
)
def test_what_is_no_positive_number_is_none(value):
    assert positive(value) is None


@pytest.mark.parametrize("spelling", ["0.252", "2.52e-01", "2.52E-1", "0,252", ".252", "252e-3"])
def test_an_aperio_slide_states_its_scale_in_any_spelling(picture, tmp_path, spelling):
    text = f"Aperio Image Library v11\n300x300 -> 300x300|AppMag = 40|MPP = {spelling}|Left = 2.5"
    path = tmp_path / "slide.svs"
    tifffile.imwrite(
        path, picture(300, 300), tile=(64, 64), photometric="rgb", description=text, metadata=None
    )
    slide = open_slide(path)
    assert (slide.mpp, slide.objective, slide.warnings) == (pytest.approx(0.252), 40, ())


def test_the_scale_is_believed_only_where_it_can_be_true():
    assert believable((0.5, 0.5), 20) == (0.5, ())
    assert believable((0.5, 500), None)[0] is None
    mpp, doubts = believable((0.5, 0.6), None)
    assert mpp == pytest.approx((0.5 * 0.6) ** 0.5)
    assert "not square" in doubts[0]
    assert believable((264.6, 264.6), None)[0] is None
    assert "objective" in believable((2.5, 2.5), 40)[1][0]
    assert believable(None, 40) == (None, ())


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("Micrometer", 1.0),
        ("micrometres", 1.0),
        ("MM", 1000.0),
        ("nanometre", 1e-3),
        ("M", None),
        ("px", None),
    ],
)
def test_units_in_any_spelling(unit: str, um: float | None) -> None:
    assert um_of(unit) == um
