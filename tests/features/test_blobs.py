from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st
from scipy import ndimage

from histoscribe.features.builtin.blobs import measure_blobs


def in_order(rows: np.ndarray) -> np.ndarray:
    """Rows sorted by size and place."""
    return rows[np.lexsort(np.round(rows[:, :3], 6).T)]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    shape=st.tuples(st.integers(1, 24), st.integers(1, 24)),
)
def test_blobs_are_those_of_scipy(seed: int, share: float, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    mask = random.random(shape) < share
    dark, eosin = random.random((2, *shape), dtype=np.float32)
    found = measure_blobs(mask, dark, eosin, 0, np.inf)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    rows, columns = np.indices(shape)
    assert len(found) == count
    if count == 0:
        return
    expected = np.column_stack(
        [
            np.bincount(labels.ravel(), minlength=count + 1)[1:],
            ndimage.mean(rows, labels, numbers),
            ndimage.mean(columns, labels, numbers),
            ndimage.variance(rows, labels, numbers) + 1 / 12,
            ndimage.variance(columns, labels, numbers) + 1 / 12,
            ndimage.mean(dark, labels, numbers),
            ndimage.mean(eosin, labels, numbers),
        ]
    )
    np.testing.assert_allclose(
        in_order(found[:, [0, 1, 2, 3, 4, 6, 8]]), in_order(expected), rtol=1e-5, atol=1e-7
    )


def test_size_bounds_leave_out() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[0, 0], mask[2, :3], mask[5:7] = True, True, True
    stain = np.ones((8, 8), dtype=np.float32)
    assert measure_blobs(mask, stain, stain, 2, 10)[:, 0].tolist() == [3]
