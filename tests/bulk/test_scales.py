from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from histoscribe.bulk import convert, recognise_scale
from histoscribe.errors import SettingError, TableError


def _counts(seed: int = 0, samples: int = 30, genes: int = 80) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.poisson(random.gamma(0.5, 40, genes), (samples, genes)).astype(np.float32)


@given(st.integers(0, 50))
def test_scales_are_told_apart(seed: int) -> None:
    counts = _counts(seed)
    assert recognise_scale(counts) == "counts"
    assert recognise_scale(counts * 1.37) == "linear"
    assert recognise_scale(np.log2(counts + 0.001)) == "log2"
    assert recognise_scale(convert(counts, "counts", "log1p")) == "log1p"
    log = np.log2(counts * 1.3 + 1)
    assert recognise_scale((log - log.mean(0)) / (log.std(0) + 1e-6)) == "standardised"


def test_log1p_sums_to_ten_thousand() -> None:
    assert np.allclose(np.expm1(convert(_counts(), "counts", "log1p")).sum(1), 1e4, rtol=1e-4)


def test_negative_counts_are_refused() -> None:
    counts = _counts()
    counts[3, 4] = -5
    with pytest.raises(TableError, match="negative"):
        recognise_scale(counts)


def test_mixed_scales_are_refused() -> None:
    counts = _counts() * 50.3 + 1
    mixed = np.vstack([counts[:20], np.log2(counts[20:])])
    with pytest.raises(TableError, match="different scales"):
        recognise_scale(mixed)


@pytest.mark.parametrize("values", [np.full((3, 3), np.nan), np.array([[1.5, np.inf], [2.5, 1.0]])])
def test_nothing_and_infinite_values_are_refused(values: np.ndarray) -> None:
    with pytest.raises(TableError):
        recognise_scale(values)


def test_no_way_from_log_to_counts() -> None:
    with pytest.raises(SettingError):
        convert(np.ones((2, 2)), "log2", "log1p")
