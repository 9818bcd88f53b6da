"""A benchmark method of another package: the training median of each gene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from histoscribe.benchmark import Method
from histoscribe.benchmark.predictor import Example, peer


def median(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[np.ndarray]:
    """Every spot gets the median of the training spots."""
    middle = np.median(np.concatenate([example.expression for example in train]), axis=0)
    return [np.tile(middle, (len(test.features), 1)).astype(np.float32) for test in tests]


METHOD = Method("foreign-median", ("predictor",), peer(median))
