"""On what to compute: the asked device, or the best that is there; and on how many threads."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import torch
from threadpoolctl import ThreadpoolController

from histoscribe.errors import SettingError, told_as

_SETTING = Lock()


def resolve_device(name: str = "auto") -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1` or `mps` into a device; `auto` tries cuda, then mps, then cpu.

    Raises `SettingError` if the name is unknown or the device is not there.
    """
    keep_triton_apart()
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, present in there.items() if present))
    problem, remedy = "there is no such device", f"choose auto, {', '.join(there)}"
    with told_as(SettingError, problem, RuntimeError, where=name, remedy=remedy, reason=False):
        device = torch.device(name)
    missing = not there.get(device.type, False)
    if missing or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        present = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise SettingError("this device is not here", where=name, remedy=f"choose auto or one of: {present}")
    return device


def precision_of(device: torch.device) -> torch.dtype:
    """What learned encoders compute in: half precision on a CUDA device, single precision elsewhere."""
    return torch.float16 if device.type == "cuda" else torch.float32


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch and numpy compute on one thread of the processor, and restore their number afterwards.

    Sums depend on how many threads share them and which is done first; one thread gives the same digits each
    time. Networks and tables this small gain nothing from more, and waiting threads use processor time.
    """
    with _SETTING:
        before, pools = torch.get_num_threads(), ThreadpoolController()
        if before > 1:  # one is perhaps another thread's doing, which that one sets back
            torch.set_num_threads(1)
        several = any(pool["num_threads"] > 1 for pool in pools.info())
        limits = pools.limit(limits=1) if several else nullcontext()
    try:
        with limits:
            yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


def keep_triton_apart() -> None:
    """Beside a window, map Triton's library so that it uses the LLVM that it brings, and not the window's.

    Mesa draws with an LLVM of its own where there is no graphics card. With its names, importing Triton (as
    PyTorch built for CUDA does for training) ends the process.
    """
    beside = sys.platform == "linux" and {"PySide6", "PyQt6"} & sys.modules.keys()
    found = find_spec("triton") if beside and "triton" not in sys.modules else None
    if found is not None and found.origin is not None:
        for library in Path(found.origin).parent.glob("_C/libtriton*.so"):
            ctypes.CDLL(str(library), os.RTLD_NOW | os.RTLD_LOCAL | os.RTLD_DEEPBIND)


keep_triton_apart()
