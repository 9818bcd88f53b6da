"""Cox's model in sums: against lifelines, against differences, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from lifelines import CoxPHFitter

from histoscribe.bulk import BulkTable
from histoscribe.errors import TableError
from histoscribe.programmes.cox import Survival, partial_likelihood, ridge_cox, survival_in
from histoscribe.programmes.describing import hazards


@pytest.fixture
def drawn() -> tuple[np.ndarray, Survival]:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    x = (x - x.mean(0)) / x.std(0)
    time = random.exponential(np.exp(-x @ [0.8, -0.5, 0.0]))
    return x, Survival(time, (random.random(200) < 0.6).astype(float))


def test_coefficients_are_those_of_lifelines(drawn: tuple[np.ndarray, Survival]) -> None:
    x, survival = drawn
    frame = pd.DataFrame(x).assign(time=survival.time, event=survival.event)
    known = CoxPHFitter(penalizer=0.05).fit(frame, "time", "event").params_.to_numpy()
    assert ridge_cox(x, survival, 0.05) == pytest.approx(known, abs=1e-3)


def test_residuals_are_the_derivative_with_ties_and_unknown_samples(
    drawn: tuple[np.ndarray, Survival],
) -> None:
    x, exact = drawn
    time = np.ceil(exact.time * 5)
    time[:4] = 0
    survival = Survival(time, np.where(time > 0, exact.event, 0))
    risk = x @ np.array([0.3, 0.1, -0.2])
    likelihood, residuals = partial_likelihood(risk, survival)
    for sample in (0, 7, 50):
        moved = risk.copy()
        moved[sample] += 1e-6
        slope = (partial_likelihood(moved, survival)[0] - likelihood) / 1e-6
        assert residuals[sample] == pytest.approx(slope, abs=1e-4)
    assert not residuals[:4].any()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"event": [1, 0]}, "no column time"),
        ({"time": ["soon", "late"], "event": [1, 0]}, "no numbers"),
        ({"time": [3, 4], "event": [1, 2]}, "an event is 2"),
    ],
)
def test_survival_that_is_none_is_refused(columns: dict, words: str) -> None:
    obs = pd.DataFrame(columns, index=["a", "b"])
    with pytest.raises(TableError, match=words):
        survival_in(BulkTable("t", AnnData(np.ones((2, 2)), obs=obs), "counts", "symbol"))


def test_several_samples_of_a_patient_are_one_witness(drawn: tuple[np.ndarray, Survival]) -> None:
    x, survival = drawn
    often = np.tile(np.arange(len(x)), 4)
    one = hazards(x[:, :1], survival, [str(row) for row in range(len(x))])[0]
    four = hazards(x[often, :1], survival[often], [str(row) for row in often])[0]
    assert four["hazard"] == pytest.approx(one["hazard"], rel=0.05)
    width = [np.log(each["high"] / each["low"]) for each in (one, four)]
    assert width[1] == pytest.approx(width[0], rel=0.25)
