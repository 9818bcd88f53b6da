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
_BINARIES = (
    ("torch", "lib/libtorch_global_deps", ctypes.RTLD_GLOBAL),
    ("torch", "lib/libtorch_python", ctypes.RTLD_LOCAL),
    ("llvmlite", "binding/libllvmlite", ctypes.RTLD_LOCAL),
)


def load_libraries(*modules: str) -> None:
    """Import modules beforehand; the window answers meanwhile.

    An import holds Python's lock while the linker maps PyTorch (0.3 s) or LLVM (0.2 s), so that is asked for
    beforehand by a call that gives the lock away. Imports make hundreds of thousands of objects, at which the
    collector of garbage looks again and again, all of Python waiting up to half a second each time: it rests
    meanwhile, and never looks again at what is there by then (`gc.freeze`). Numba makes as many when it
    compiles for the first time; where loops of ours are compiled, it does that here as well.

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
            _map_binaries()
            for name in modules:
                import_module(name)
            if "histoscribe.features.builtin.compiled" in sys.modules:
                import_module("numba").njit("void()")(lambda: None)
        finally:
            gc.freeze()
            if collects:
                gc.enable()


def _map_binaries() -> None:
    """Map large shared libraries as their own packages would, but without Python's lock.

    Where that does not work, their import does it with the lock.
    """
    if os.name != "posix":
        return
    ending = "dylib" if sys.platform == "darwin" else "so"
    linker = ctypes.CDLL(None).dlopen
    linker.restype, linker.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    for package, library, visible in _BINARIES:
        found = find_spec(package)
        if package not in sys.modules and found is not None and found.origin is not None:
            linker(os.fsencode(Path(found.origin).parent / f"{library}.{ending}"), os.RTLD_NOW | visible)
