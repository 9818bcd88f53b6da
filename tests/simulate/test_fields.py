from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.simulate.fields import enlarge, smooth_field, stream


def test_stream_depends_on_its_words_only():
    assert stream("a", 1).random() == stream("a", 1).random()
    assert stream("a", 1).random() != stream("a", 2).random()
    assert stream("a", 12).random() != stream("a1", 2).random()


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 90), st.integers(1, 90), st.floats(-5, 5, width=32)
)
@settings(max_examples=40)
def test_enlarge_keeps_a_constant(rows, columns, new_rows, new_columns, value):
    out = enlarge(np.full((rows, columns), value, np.float32), (new_rows, new_columns))
    assert out.shape == (new_rows, new_columns)
    np.testing.assert_allclose(out, value, atol=1e-5)


def test_enlarge_follows_a_ramp():
    ramp = np.repeat(np.arange(10.0)[:, None], 10, axis=1)
    big = enlarge(ramp, (40, 40))
    np.testing.assert_allclose(big[2:-2, 0], (np.arange(40) + 0.5)[2:-2] / 4 - 0.5, atol=1e-5)


@pytest.mark.parametrize("scale", [2.0, 15.0, 60.0])
def test_smooth_field_has_unit_variance_and_its_scale(scale):
    field = smooth_field(np.random.default_rng(0), (200, 160), scale)
    assert field.shape == (200, 160)
    assert abs(field.mean()) < 1e-4
    assert field.std() == pytest.approx(1, abs=1e-3)
    steps = np.diff(field, axis=0).std()
    assert steps == pytest.approx(1 / (np.sqrt(2) * scale), rel=0.5)
