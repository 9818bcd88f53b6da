from __future__ import annotations

import math

import pytest
import torch

from histoscribe.generator.training.stages import info_nce, kl_divergence, mmd, positives


def test_kl_divergence_is_that_of_normal_distributions() -> None:
    zero = torch.zeros(5, 3)
    assert kl_divergence(zero, zero).item() == 0
    mean, variance = torch.full((4, 2), 1.5), torch.full((4, 2), 0.25)
    by_hand = 2 * 0.5 * (1.5**2 + 0.25 - 1 - math.log(0.25))
    assert kl_divergence(mean, variance.log()).item() == pytest.approx(by_hand, rel=1e-5)


def test_each_sample_is_pulled_to_its_pair_else_to_either_half() -> None:
    real_cancers, real_sites = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    weights = positives(torch.tensor([0, 1, 3]), torch.tensor([0, 0, 3]), real_cancers, real_sites)
    assert torch.allclose(weights[0], torch.tensor([1.0, 0, 0, 0]))
    assert torch.allclose(weights[1], torch.tensor([1.0, 0, 1, 0]) / 2)
    assert weights[2].sum() == 0


def test_info_nce_falls_as_codes_come_to_their_own() -> None:
    torch.manual_seed(0)
    real = torch.randn(20, 8)
    weights = torch.eye(20)
    near, far = info_nce(real + 0.01, real, weights), info_nce(real.flip(0), real, weights)
    assert near < 0.5 < far
    assert info_nce(real, real, torch.zeros(20, 20)).item() == 0


def test_mmd_is_nothing_between_equals_and_grows_with_distance() -> None:
    torch.manual_seed(1)
    one = torch.randn(64, 4)
    same, near, far = (mmd(one, one + shift).item() for shift in (0.0, 0.5, 3.0))
    assert same == pytest.approx(0, abs=1e-6)
    assert same < near < far
