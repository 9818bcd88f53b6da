from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from histoscribe.imputer import Imputer
from histoscribe.imputer.gates import score_genes
from histoscribe.imputer.own import expect_holed, fit_holed, from_fuller, from_likeness
from histoscribe.imputer.weighing import complete, neighbours_of, verdicts, weigh
from histoscribe.progress import Progress
from histoscribe.record import record_of

Maker = Callable[..., AnnData]
RANDOM = np.random.default_rng


def of_factors(samples: int = 80, genes: int = 50, seed: int = 0) -> np.ndarray:
    """Three factors that no model knows, and a little noise."""
    random = RANDOM(seed)
    values = random.normal(size=(samples, 3)) @ random.normal(size=(3, genes))
    return (values + random.normal(0, 0.3, values.shape)).astype(np.float32)


def unknown(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, np.nan)


def nowhere(values: np.ndarray) -> list[np.ndarray]:
    return []


def error(found: np.ndarray, truth: np.ndarray, hidden: np.ndarray) -> float:
    return float(np.sqrt(((found - truth)[hidden] ** 2).mean()))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_a_table_tells_its_own_holes(share: float) -> None:
    truth = of_factors(150, 50)
    hidden = RANDOM(1).random(truth.shape) < share
    holed = np.where(hidden, np.nan, truth).astype(np.float32)
    names = [f"G{place}" for place in range(50)]
    found = complete(holed, unknown, names, nowhere, Progress())
    assert error(found.mean, truth, hidden) < (0.5 if share < 0.6 else 0.8) * truth.std()
    inside = (np.abs(found.mean - truth) <= 1.645 * found.spread)[hidden].mean()
    assert 0.84 < inside < 0.96
    assert 0.8 < found.cover < 0.97
    again = complete(holed, unknown, names, nowhere, Progress())
    np.testing.assert_array_equal(found.mean, again.mean)


def test_a_model_that_knows_better_is_heard_and_a_useless_one_is_not() -> None:
    truth = RANDOM(0).normal(size=(60, 30)).astype(np.float32)
    hidden = RANDOM(1).random(truth.shape) < 0.3
    holed = np.where(hidden, np.nan, truth).astype(np.float32)
    names = [f"G{place}" for place in range(30)]
    right = complete(holed, lambda values: truth, names, nowhere, Progress())
    noise = RANDOM(2).normal(0, 5, truth.shape).astype(np.float32)
    wrong = complete(holed, lambda values: noise, names, nowhere, Progress())
    assert error(right.mean, truth, hidden) < 0.1
    assert error(wrong.mean, truth, hidden) < 1.15 * truth.std()


def test_samples_with_more_genes_tell_those_that_share_a_panel() -> None:
    truth = of_factors(samples=100)
    known = np.ones(truth.shape, dtype=bool)
    known[70:, 10:] = False
    found = complete(
        np.where(known, truth, np.nan).astype(np.float32), unknown, [""] * 50, nowhere, Progress()
    )
    assert error(found.mean, truth, ~known) < 0.45 * truth.std()
    words = from_fuller(np.where(known, truth, 0), known, np.zeros_like(truth))
    assert all(error(word, truth, ~known) < 0.45 * truth.std() for word in words)
    assert all((word[:70] == 0).all() for word in words)


def test_factors_and_likeness_leave_the_asked_sample_out() -> None:
    truth = of_factors()
    start = fit_holed(truth, np.ones(truth.shape, dtype=bool), 3, prior=1, rounds=10)
    assert error(expect_holed(start, truth, truth == truth), truth, truth == truth) < 0.4
    changed = truth.copy()
    told = from_likeness(truth, 0.1)
    changed[3, 7] += 1e-3
    assert abs(from_likeness(changed, 0.1)[3, 7] - told[3, 7]) < 1e-3
    assert np.corrcoef(told[:, 7], truth[:, 7])[0, 1] > 0.8


def test_weights_are_not_negative_and_unknown_words_get_none() -> None:
    truth = RANDOM(0).normal(size=(40, 20)).astype(np.float32)
    words = [np.full_like(truth, np.nan), -truth, 2 * truth]
    np.testing.assert_allclose(weigh(words, truth, np.ones(truth.shape, dtype=bool)), [0, 0, 0.5], atol=1e-6)


def test_neighbours_leave_the_spot_itself_out() -> None:
    table = AnnData(np.zeros((25, 1), dtype=np.float32))
    assert neighbours_of(table)(table.X) == []
    table.obsm["spatial"] = np.array([(x, y) for x in range(5) for y in range(5)], dtype=float)
    value = np.zeros((25, 1), dtype=np.float32)
    value[12] = 6
    near, wide = neighbours_of(table)(value)
    assert near[12] == wide[12] == 0
    assert near[[7, 11, 13, 17]].tolist() == [[1.0]] * 4


def test_genes_are_scored_where_hidden_and_get_a_verdict() -> None:
    truth = RANDOM(0).normal(size=(200, 3)).astype(np.float32)
    guess = truth + RANDOM(1).normal(0, [0.1, 30, 1], truth.shape).astype(np.float32)
    hidden = np.ones(truth.shape, dtype=bool)
    hidden[5:, 2] = False
    scores = score_genes(truth, guess, hidden, ["A", "B", "C"])
    assert list(scores.index) == ["A", "B"]
    assert scores.loc["A", "r"] == pytest.approx(np.corrcoef(truth[:, 0], guess[:, 0])[0, 1], abs=1e-4)
    assert verdicts(pd.Series([0.9, 0.4, 0.1, -0.1, np.nan])) == ["good", "fair", "poor", "none", "unchecked"]


def test_restoring_is_checked_on_the_table_itself(trained: Imputer, table_maker: Maker) -> None:
    table = table_maker(samples=60, seed=4)
    table.X[RANDOM(3).random(table.shape) < 0.3] = np.nan
    found = trained.restore(table[:, :50].copy())
    own = record_of(found)
    assert (own.hidden_r or 0) > 0.5
    assert 0.8 < (own.hidden_cover or 0) < 1
    assert set(found.var["verdict"][50:]) == {"unchecked"}
    assert found.var["held_out_r"][50:].isna().all()
    assert found.var["training_r"].notna().all()
    few = trained.restore(table[:6, :50].copy())
    assert record_of(few).hidden_r is None
    assert any("no structure of their own" in note for note in record_of(few).notes)


def test_genes_unknown_to_the_model_are_told_by_the_table(trained: Imputer, table_maker: Maker) -> None:
    table = table_maker(samples=60, seed=5)
    truth = table.X.copy()
    table.var_names = [f"OWN{place}" if place % 2 else name for place, name in enumerate(table.var_names)]
    hidden = RANDOM(3).random(table.shape) < 0.2
    table.X[hidden] = np.nan
    found = trained.restore(table)[:, table.var_names].layers["restored"]
    odd = hidden & (np.arange(table.n_vars) % 2 == 1)
    assert error(found, truth, odd) < 0.6 * truth.std(0).mean()


def test_a_far_platform_is_adapted_to_unasked(trained: Imputer, table_maker: Maker) -> None:
    table = table_maker(samples=60, seed=6)
    random = RANDOM(0)
    scaled = table.X * random.uniform(0.05, 1, table.n_vars) + random.normal(0, 4, table.n_vars)
    table.X = scaled.astype(np.float32)
    assert record_of(trained.restore(table[:, :40].copy())).adapted
    assert not record_of(trained.restore(table_maker(samples=60, seed=6)[:, :40].copy())).adapted
