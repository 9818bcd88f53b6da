from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from histoscribe.errors import SettingError
from histoscribe.features import device
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


def test_the_libraries_of_numpy_compute_on_one_thread_too():
    def numbers() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info()]

    with threadpool_limits(2):
        before = numbers()
        with one_thread():
            assert set(numbers()) == {1}
        assert numbers() == before


@pytest.mark.skipif(sys.platform != "linux", reason="another linker")
@pytest.mark.parametrize("window", [True, False])
def test_beside_a_window_triton_keeps_to_its_own_llvm(window, tmp_path, monkeypatch):
    """With the CUDA build of PyTorch, training in a window that Mesa draws ended the process."""
    (tmp_path / "triton" / "_C").mkdir(parents=True)
    (tmp_path / "triton" / "__init__.py").touch()
    (tmp_path / "triton" / "_C" / "libtriton.so").touch()
    mapped = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    for name in ("PySide6", "PyQt6"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    if window:
        monkeypatch.setitem(sys.modules, "PySide6", None)
    monkeypatch.setattr(device.ctypes, "CDLL", lambda path, flags: mapped.append((Path(path).name, flags)))
    device.keep_triton_apart()
    assert mapped == ([("libtriton.so", os.RTLD_NOW | os.RTLD_DEEPBIND)] if window else [])
