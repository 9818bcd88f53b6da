from __future__ import annotations

import numpy as np
import pytest
import torch

from histoscribe.imputer.gates import KNOTS, LEVEL_90, Gates, Rehearsal, fisher_interval, held_out_scores


def test_looking_up_between_knots_is_continuous() -> None:
    gates = Gates(5)
    gates.gate[0] = torch.linspace(0, 1, len(KNOTS[0]))
    observed = torch.ones(1, 5, dtype=torch.bool)
    gate, share, spread = gates.look_up(0, observed, torch.ones(1))
    assert gate.item() == 1.0
    assert share.item() == 0.0
    assert spread.shape == (1, 5)


def rehearsal(gate: float, spread: float, samples: int = 400, genes: int = 12) -> Rehearsal:
    """Truth that lies `gate` of the way from the Gaussian's answer to the memory's, with noise around it."""
    random = np.random.default_rng(0)
    gaussian, memory = random.normal(size=(2, samples, genes))
    truth = gaussian + gate * (memory - gaussian) + random.normal(0, spread, (samples, genes))
    scored = np.ones((samples, genes), dtype=bool)
    half = [part.astype(np.float16) for part in (truth, gaussian, memory)]
    surprise = np.ones(samples, dtype=np.float32)
    return Rehearsal(0, 2, np.arange(samples), *half, ~scored, scored, surprise)


@pytest.mark.parametrize("gate", [0.0, 0.4, 1.0])
def test_gate_and_spread_are_learned_from_held_out_answers(gate: float) -> None:
    gates = Gates(12)
    missed = gates.fit([rehearsal(gate, 0.5)])
    assert float(gates.gate[0, 2]) == pytest.approx(gate, abs=0.03)
    assert missed == pytest.approx(0.25, rel=0.05)
    assert gates.spread[0, 2].mean() == pytest.approx(0.5, rel=0.06)


def test_the_spread_covers_nine_in_ten() -> None:
    gates, one = Gates(12), rehearsal(0.4, 0.5)
    gates.fit([one])
    guess = one.gaussian.astype(float) + float(gates.gate[0, 2]) * (one.memory.astype(float) - one.gaussian)
    inside = np.abs(one.truth - guess) < LEVEL_90 * gates.spread[0, 2].numpy()
    assert inside.mean() == pytest.approx(0.9, abs=0.01)


def test_held_out_scores_are_correlations_with_their_intervals() -> None:
    gates, one = Gates(12), rehearsal(0.4, 0.1)
    gates.fit([one])
    scores = held_out_scores([one], gates, tuple("abcdefghijkl"))
    assert set(scores) == set("abcdefghijkl")
    assert all(score["low"] < score["r"] < score["high"] for score in scores.values())
    assert all(score["r"] > 0.98 for score in scores.values())
    assert held_out_scores([], gates, ("a",)) == {}


def test_fisher_s_interval_narrows_with_samples() -> None:
    low, high = fisher_interval(0.5, np.array([10, 100, 1000]))
    assert (np.diff(high - low) < 0).all()
    assert low[1] == pytest.approx(0.3366, abs=1e-3)
    assert high[1] == pytest.approx(0.6341, abs=1e-3)
