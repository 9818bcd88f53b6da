"""Libraries that a job needs, imported on its own thread without holding up the window."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

_LOADING = Lock()


def load_libraries(*modules: str) -> None:
    """Import modules beforehand; the window answers meanwhile.

    An import holds Python's lock while the linker maps PyTorch (0.3 s), so that is asked for beforehand by a
    call that gives the lock away. Imports make hundreds of thousands of objects, at which the collector of
    garbage looks again and again, all of Python waiting up to half a second each time: it rests meanwhile,
    and never looks again at what is there by then (`gc.freeze`).

    Parameters
    ----------
    *modules : str
        Full names; those that are there already cost nothing.

    Raises
    ------
    ImportError
        As `import` does.
    """
    with _LOADING:
        if all(name in sys.modules for name in modules):
            return
        collects = gc.isenabled()
        gc.disable()
        try:
            _map_pytorch()
            for name in modules:
                import_module(name)
        finally:
            gc.freeze()
            if collects:
                gc.enable()


def _map_pytorch() -> None:
    """Map PyTorch's shared libraries as its own import would, but without Python's lock.

    Where that does not work, its import does it with the lock.
    """
    found = find_spec("torch")
    if "torch" in sys.modules or found is None or found.origin is None or os.name != "posix":
        return
    ending = "dylib" if sys.platform == "darwin" else "so"
    folder = Path(found.origin).parent / "lib"
    linker = ctypes.CDLL(None).dlopen
    linker.restype, linker.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    for name, visible in (("torch_global_deps", os.RTLD_GLOBAL), ("torch_python", os.RTLD_LOCAL)):
        linker(os.fsencode(folder / f"lib{name}.{ending}"), os.RTLD_NOW | visible)
