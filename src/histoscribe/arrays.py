"""What arrays of numbers are called: by what they hold, whatever their shape."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
"""Single precision: descriptors, expression, weights."""
Wide = NDArray[np.float64]
"""Double precision: places, sums, statistics."""
Numbers = NDArray[np.int64]
"""Whole numbers: rows, types, classes."""
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
