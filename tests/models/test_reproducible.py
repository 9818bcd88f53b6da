"""Threads and random state are set for a block and set back after it."""

from __future__ import annotations

import pytest
import torch

from histoscribe.models.reproducible import one_thread, seeded


def test_one_thread_lasts_as_long_as_its_block():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_seed_gives_the_same_numbers_and_is_set_back():
    expected = torch.Generator().manual_seed(3)
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(3):
        assert torch.equal(torch.rand(4), torch.rand(4, generator=expected))
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), state)
