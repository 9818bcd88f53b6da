"""Images beside the tissue: the label, the macro image of the whole glass, a thumbnail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError

AssociatedImages = Mapping[str, Callable[[], NDArray[np.uint8]]]
"""By name (`label`, `macro`, `thumbnail`, ...): what reads it, shape (rows, columns, 3)."""

_MOST = 2**26  # pixels


def check_associated(rows: int, columns: int, name: str, path: str | PathLike[str]) -> None:
    """Raise `SlideError` if an associated image claims no pixels, or far more than one needs."""
    if not (rows > 0 and columns > 0 and rows * columns <= _MOST):
        raise SlideError(
            f"its {name} image claims {rows} × {columns} pixels",
            where=path,
            remedy="look at the slide without it",
        )
