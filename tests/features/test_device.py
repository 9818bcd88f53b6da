from __future__ import annotations

import threading

import pytest
import torch

from histoscribe.errors import SettingError
from histoscribe.features.device import one_thread, resolve_device


def test_auto_finds_a_device_that_works():
    assert torch.ones(2, device=resolve_device("auto")).sum() == 2


def test_an_unknown_device_names_the_known_ones():
    with pytest.raises(SettingError, match="auto, cuda, mps, cpu"):
        resolve_device("abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_an_absent_device_is_said_to_be_absent():
    with pytest.raises(SettingError, match="not here"):
        resolve_device("cuda")


def test_threads_that_compute_on_one_thread_at_once_leave_the_number_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    inside: list[int] = []
    start = threading.Barrier(3)

    def compute() -> None:
        start.wait()
        for _ in range(50):
            with one_thread():
                inside.append(torch.get_num_threads())

    threads = [threading.Thread(target=compute) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(inside) == {1}
        assert torch.get_num_threads() == 2
        fresh: list[int] = []
        later = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert fresh == [2]
    finally:
        torch.set_num_threads(before)
