"""A pickle of weights as safetensors: run by `converting` in a process of its own, without anything of ours.

`python -I conversion.py ROOM BYTES SECONDS < FILE` writes `weights.safetensors` into the folder ROOM and
a line of JSON to standard output. Before a byte of the file is read the process gives up what it can spare.
"""

import contextlib
import ctypes
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

OUT = "weights.safetensors"
_NEW_USER, _NEW_NET, _NEW_IPC = 0x10000000, 0x40000000, 0x08000000
_NO_NEW_PRIVILEGES, _CAPABILITIES = 38, 0x20080522
_PARTS = ("teacher", "state_dict", "model", "model_state_dict", "module", "encoder", "network")
"""Under which name a training run keeps the network, the better one first."""


def leave_network() -> list[str]:
    """Go where there is no network; must come before anything that starts threads."""
    alone = sys.platform == "linux" and ctypes.CDLL(None).unshare(_NEW_USER | _NEW_NET | _NEW_IPC) == 0
    return ["no network"] if alone else []


def leave_files(room: str) -> list[str]:
    """See nothing but an empty folder from now on, and never gain rights again."""
    os.chdir(room)
    if sys.platform != "linux":
        return []
    done, libc = [], ctypes.CDLL(None)
    with contextlib.suppress(OSError):
        os.chroot(room)
        os.chdir("/")
        done.append("no files")
    head, none = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and libc.capset(head, none) == 0:
        done.append("no privileges")
    return done


def bound(nbytes: int, seconds: int) -> list[str]:
    """Take no more memory than now and `nbytes`, no more time than `seconds`; but for root, no child."""
    try:
        import resource
    except ImportError:
        return []
    done = []
    limits = [(resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, nbytes), (resource.RLIMIT_NPROC, 0)]
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/self/statm", encoding="ascii") as stream:
            taken = int(stream.read().split()[0]) * resource.getpagesize()
        limits.append((resource.RLIMIT_AS, taken + nbytes))
        done.append("bounded memory")
    for what, most in limits:
        resource.setrlimit(what, (most, most))
    return [*done, "bounded time"]


def tensors_of(loaded: Any, depth: int = 0) -> dict[str, Any]:
    """The named tensors of a network in what a checkpoint holds; raises `ValueError` if there are none."""
    import torch

    if not isinstance(loaded, Mapping) or depth > 3:
        raise ValueError("it holds no named weights")
    own = {str(key): value for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    if own:
        return {key: value.detach().clone().contiguous() for key, value in own.items()}
    parts = {str(key): value for key, value in loaded.items() if isinstance(value, Mapping)}
    named = next((name for name in _PARTS if name in parts), next(iter(parts), ""))
    return tensors_of(parts.get(named), depth + 1)


def convert(room: str, nbytes: int, seconds: int) -> dict[str, Any]:
    """Do it; what it could give up is said, and how many tensors there are."""
    given_up = leave_network()
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    for zipped in (True, False):  # what torch imports late, while it still can
        trial = io.BytesIO()
        torch.save({"a": torch.zeros(1)}, trial, _use_new_zipfile_serialization=zipped)
        torch.load(io.BytesIO(trial.getvalue()), weights_only=True)
    save_file({"a": torch.zeros(1)}, os.path.join(room, OUT))
    file = sys.stdin.buffer
    given_up += [*bound(nbytes, seconds), *leave_files(room)]
    weights = tensors_of(torch.load(file, map_location="cpu", weights_only=True))
    save_file(weights, OUT)
    return {"tensors": len(weights), "given_up": given_up}


if __name__ == "__main__":
    try:
        found = convert(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except (Exception, MemoryError) as error:
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    sys.stdout.write(json.dumps(found))
