"""Rehearsing: restore training samples with models that never saw their patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.imputer.blend import KNOTS, Rehearsal
from histoscribe.imputer.gaussian import GaussianStart, fit_factors
from histoscribe.imputer.reference import ReferenceMemory
from histoscribe.imputer.training.choosing import Choice, Lesson
from histoscribe.progress import Progress

_CELLS = 6_000_000
_CHUNK = 256


def fill_holes(
    values: NDArray[np.float32], blocks: NDArray[np.bool_], factors: int, seed: int
) -> NDArray[np.float32]:
    """Fill natural holes of the training table with a first factor model's expectation.

    Parameters
    ----------
    values : ndarray of float32, shape (samples, genes)
        NaN where not known.
    blocks : ndarray of bool, shape (samples, genes)
        False where a whole table lacks the gene.
    """
    known = ~np.isnan(values)
    filled = np.nan_to_num(values).astype(np.float32)
    if known.all():
        return filled
    for _ in range(2):
        start = GaussianStart(
            *map(torch.from_numpy, fit_factors(filled, min(factors, 50), seed=seed, known=blocks))
        )
        holes = np.flatnonzero(~known.all(1))
        for at in range(0, len(holes), _CHUNK):
            rows = holes[at : at + _CHUNK]
            seen = torch.from_numpy(known[rows])
            expected = start.expect(start.factors(torch.from_numpy(filled[rows]), seen))
            filled[rows] = torch.where(seen, torch.from_numpy(filled[rows]), expected).numpy()
    return filled


def assign_folds(groups: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold per sample, whole groups together."""
    names, which = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray((order % folds)[which], dtype=np.int64)


def rehearse(lesson: Lesson, choice: Choice, *, references: int, progress: Progress) -> list[Rehearsal]:
    """Hide values and whole genes at every knot, and restore them fold by fold.

    Returns
    -------
    list of Rehearsal
        One for each mode and knot; the rows are bounded so that memory does not grow with genes.
    """
    random = np.random.default_rng(lesson.seed)
    genes = lesson.filled.shape[1]
    limit = max(_CELLS // genes, 120)
    parts: dict[tuple[int, int], list[Rehearsal]] = {}
    numbers = np.unique(lesson.folds[lesson.folds >= 0])
    for fold in numbers:
        train, held = lesson.folds != fold, np.flatnonzero(lesson.folds == fold)
        quota = limit // len(numbers)
        if len(held) > quota:
            held = np.sort(random.choice(held, quota, replace=False))
        start = lesson.start(train, choice)
        memory = lesson.memory(train, choice, references, start)
        for mode in (0, 1):
            for knot, fraction in enumerate(KNOTS[mode]):
                progress.report(
                    "learning from held-out patients", int(fold) * 10 + mode * 5 + knot, 10 * len(numbers)
                )
                hidden = _hide(mode, fraction, (len(held), genes), random)
                one = _restore(
                    start, memory, lesson.filled[held], lesson.known[held], hidden, held, (mode, knot)
                )
                parts.setdefault((mode, knot), []).append(one)
    return [_joined(some) for some in parts.values()]


def _hide(
    mode: int, fraction: float, shape: tuple[int, int], random: np.random.Generator
) -> NDArray[np.bool_]:
    if mode == 0:
        return np.asarray(random.random(shape) >= fraction)
    seen = np.zeros(shape[1], dtype=bool)
    seen[random.choice(shape[1], max(1, round(fraction * shape[1])), replace=False)] = True
    return np.broadcast_to(~seen, shape).copy()


def _restore(
    start: GaussianStart,
    memory: ReferenceMemory,
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    hidden: NDArray[np.bool_],
    rows: NDArray[np.int64],
    place: tuple[int, int],
) -> Rehearsal:
    observed = torch.from_numpy(known & ~hidden)
    offered = observed.any(0)
    tensor = torch.from_numpy(values)
    gaussian = torch.cat(
        [
            start.expect(start.factors(tensor[at : at + _CHUNK], observed[at : at + _CHUNK]))
            for at in range(0, len(tensor), _CHUNK)
        ]
    )
    expected, surprise = memory.read(torch.where(observed, tensor, gaussian), observed, offered)
    return Rehearsal(
        *place, rows, values.astype(np.float16), gaussian.numpy().astype(np.float16),
        expected.numpy().astype(np.float16), observed.numpy(), known & hidden, surprise.numpy(),
    )  # fmt: skip


def _joined(parts: list[Rehearsal]) -> Rehearsal:
    def stack(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    names = ("rows", "truth", "gaussian", "memory", "observed", "scored", "surprise")
    return Rehearsal(parts[0].mode, parts[0].knot, **{name: stack(name) for name in names})  # type: ignore[arg-type]
