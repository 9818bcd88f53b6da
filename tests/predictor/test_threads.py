from __future__ import annotations

import torch

from histoscribe.predictor.training.threads import one_thread


def test_one_thread_lasts_as_long_as_its_block():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
