"""Folds of whole patients: which they are, and that strata are shared out."""

from __future__ import annotations

import numpy as np

from histoscribe.models.folds import deal_folds

OWNERS = [f"p{row // 3}" for row in range(60)]


def test_patients_are_never_split_and_folds_are_even() -> None:
    for strata in (None, np.zeros(60)):
        fold = deal_folds(OWNERS, 5, 0, strata)
        assert all(len(set(fold[3 * p : 3 * p + 3])) == 1 for p in range(20))
        assert np.bincount(fold).tolist() == [12] * 5


def test_each_stratum_is_shared_out() -> None:
    strata = np.arange(60) < 15
    assert set(deal_folds(OWNERS, 5, 0, strata)[strata]) == set(range(5))


def test_a_seed_gives_the_folds_that_it_gave_before() -> None:
    owners = ["a", "a", "b", "c", "c", "d", "e", "f"]
    assert deal_folds(owners, 3, 0).tolist() == [0, 0, 2, 2, 2, 1, 0, 1]
    assert deal_folds(owners, 3, 0, np.array([0, 0, 1, 0, 0, 1, 0, 1])).tolist() == [1, 1, 1, 0, 0, 0, 2, 2]
