"""What is hidden: values at random, low values more often, whole genes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.imputer.holdout import HeldOut

RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
PANELS = (64, 256, 1024)
KINDS = ("random", "low", "panels")


def masks(
    kind: str, held: HeldOut, panels: Sequence[int] = PANELS
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """What the methods may see, with a name for it.

    Parameters
    ----------
    kind : str
        One of `KINDS`. `random` hides values at random, 10 to 90 %; `low` hides as many, low ones of a
        sample more often; `panels` shows the same few genes of every sample.
    held : HeldOut
    panels : sequence of int
        How many genes a panel has; those larger than the table are left out.

    Yields
    ------
    str, ndarray of bool, shape (held-out samples, genes)
    """
    shape = held.truth.shape
    random = np.random.default_rng(1000 + held.seed)
    if kind == "panels":
        for count in panels:
            if count < shape[1]:
                seen = np.zeros(shape, dtype=bool)
                seen[:, random.choice(shape[1], count, replace=False)] = True
                yield f"{count:,} genes observed", seen
        return
    chance = random.random(shape)
    for rate in RATES:
        if kind == "random":
            yield f"{rate:.0%} missing at random", chance >= rate
        else:
            ranks = (np.nan_to_num(held.truth).argsort(1).argsort(1) + 0.5) / shape[1]
            yield f"{rate:.0%} missing, low ones more often", chance >= 1 - ranks ** (rate / (1 - rate))
