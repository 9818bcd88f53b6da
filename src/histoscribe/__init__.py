"""Histoscribe reads a tissue slide and writes down its genes."""

from typing import Any

from lazy_loader import attach_stub

_look_up, __dir__, __all__ = attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is first asked for, the installed version too."""
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-histoscribe")
    return _look_up(name)
