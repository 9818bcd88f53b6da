from __future__ import annotations

import numpy as np
import torch

from histoscribe.imputer.reference import ReferenceMemory, choose_references


def test_the_memory_knows_what_it_has_seen() -> None:
    samples = torch.randn(50, 12)
    observed = torch.ones(50, 12, dtype=torch.bool)
    offered = torch.arange(12) < 9
    values, surprise = ReferenceMemory(samples).read(samples, observed & offered, offered)
    assert (values - samples).square().mean() < 0.05
    assert (surprise < 0.01).all()


def test_references_are_bounded() -> None:
    assert len(choose_references(np.zeros(10, dtype=int), 20, 0)) == 10
    chosen = choose_references(np.repeat([-1, 0], [100, 15]), 20, 0)
    assert len(set(chosen.tolist())) == 20
    assert set(range(100, 115)) <= set(chosen.tolist())


def test_what_is_like_nothing_known_is_a_surprise() -> None:
    samples = torch.randn(60, 20)
    offered = torch.ones(20, dtype=torch.bool)
    observed = torch.ones(3, 20, dtype=torch.bool)
    _, near = ReferenceMemory(samples).read(samples[:3], observed, offered)
    far_values, far = ReferenceMemory(samples).read(samples[:3] + 50, observed, offered)
    assert (far > 10 * near.clamp_min(0.1)).all()
    assert far_values.abs().max() < 1
