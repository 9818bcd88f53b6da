"""Held-out samples of a table: what is hidden of them, and how far restored values are from the truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.bulk import BulkTable
from histoscribe.errors import TableError
from histoscribe.imputer.units import groups_of

Figure = tuple[float, float, float]
"""A value and its 95 % interval."""
Restore = Callable[[Floats], tuple[Floats, Floats | None]]
"""Restores shown values (NaN where hidden), with standard deviations where it has them."""

RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
PANELS = (64, 256, 1024)
_LEAST_PATIENTS = 20
_DRAWS = 400
_LEAST_COUNTED = 10
_REACH = 1.6448536


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One division of a table by patient."""

    bulk: BulkTable
    """All samples, the genes that are looked at."""
    test: Mask
    """Samples of held-out patients, shape (samples,)."""
    train: Floats
    truth: Floats
    """`train` and `truth`: standardised by the training samples; NaN where not measured. Shape (training or
    held-out samples, genes)."""
    mean: Floats
    sd: Floats
    """`mean` and `sd`: shape (genes,)."""
    kinds: NDArray[np.str_]
    """Class of each sample; one for all where the table names none. Shape (samples,)."""
    seed: int

    @property
    def known(self) -> Mask:
        """Where the truth is known, shape (held-out samples, genes)."""
        return ~np.isnan(self.truth)

    @property
    def filled(self) -> Floats:
        """The training samples, holes at the mean."""
        return np.nan_to_num(self.train)

    @property
    def training(self) -> BulkTable:
        """The training samples as a table."""
        return replace(self.bulk, table=self.bulk.table[~self.test].copy())


def hold_out(bulk: BulkTable, seed: int, *, genes: int | None = None) -> HeldOut:
    """Hold out a fifth of the patients, and look at so many random genes, all where not given.

    `obs["patient"]` says whose a sample is; without it each sample stands for itself. `obs["class"]`, where
    there is one, is what a method may be told by. Raises `TableError` if there are too few patients.
    """
    random = np.random.default_rng(seed)
    table = bulk.table
    if genes is not None and genes < table.n_vars:
        table = table[:, np.sort(random.choice(table.n_vars, genes, replace=False))].copy()
    patients = np.array(groups_of(bulk, None))
    names = np.unique(patients)
    if len(names) < _LEAST_PATIENTS:
        problem = f"{len(names)} patients are too few to hold some out"
        raise TableError(problem, where=bulk.name, remedy=f"give at least {_LEAST_PATIENTS}")
    test = np.isin(patients, random.choice(names, round(len(names) * 0.2), replace=False))
    values = np.asarray(table.X, dtype=np.float32)
    with np.errstate(all="ignore"):
        mean, sd = np.nanmean(values[~test], 0), np.nanstd(values[~test], 0)
    varied = sd > 1e-6
    table, mean, sd = table[:, varied].copy(), mean[varied], sd[varied]
    z = ((values[:, varied] - mean) / sd).astype(np.float32)
    kinds = table.obs["class"].astype(str).to_numpy() if "class" in table.obs else np.full(len(z), "")
    return HeldOut(replace(bulk, table=table), test, z[~test], z[test], mean, sd, kinds, seed)


def masks(kind: str, held: HeldOut) -> Iterator[tuple[str, Mask]]:
    """What the methods may see, shape (held-out samples, genes), with a name for it.

    `random` hides values at random, 10 to 90 %; `low` hides as many, low ones of a sample more often;
    `panels` shows the same few genes of every sample: so many as `PANELS` says and the table has.
    """
    shape = held.truth.shape
    random = np.random.default_rng(1000 + held.seed)
    if kind == "panels":
        for count in PANELS:
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


def score(held: HeldOut, restore: Restore, seen: Mask) -> dict[str, Figure]:
    """Hide what is not `seen`, restore it, and compare.

    Each measure comes with its 95 % bootstrap interval: over held-out samples, for `gene r` over genes.
    """
    guess, spread = restore(np.where(seen & held.known, held.truth, np.nan).astype(np.float32))
    hidden = ~seen & held.known
    missed = np.where(hidden, guess - np.nan_to_num(held.truth), 0.0).astype(np.float64)
    count = hidden.sum(1)
    square = pooled((missed**2).sum(1), count)
    found = {
        "RMSE": (square[0] ** 0.5, square[1] ** 0.5, square[2] ** 0.5),
        "MAE": pooled(np.abs(missed).sum(1), count),
        "gene r": _mean(correlations(guess, held.truth, hidden, 0)),
        "sample r": _mean(correlations(guess, held.truth, hidden, 1)),
    }
    if spread is not None:
        inside = hidden & (np.abs(missed) < _REACH * spread)
        found["cover 90"] = pooled(inside.sum(1), count)
    return found


def correlations(guess: Floats, truth: Floats, counted: Mask, axis: int) -> Wide:
    """Pearson r along `axis` over the counted values: 0 for a constant guess, none for fewer than 10."""
    weight = counted / np.maximum(counted.sum(axis, keepdims=True), 1)
    a, b = np.nan_to_num(guess), np.nan_to_num(truth)
    a, b = (part - (part * weight).sum(axis, keepdims=True) for part in (a, b))
    power = np.sqrt((a**2 * weight).sum(axis) * (b**2 * weight).sum(axis))
    together = (a * b * weight).sum(axis)
    r = np.divide(together, power, out=np.zeros_like(power), where=power > 1e-9)
    return np.asarray(r[counted.sum(axis) >= _LEAST_COUNTED], dtype=np.float64)


def pooled(sums: NDArray[np.generic], counts: NDArray[np.generic]) -> Figure:
    """A mean over values pooled from samples (their sums and counts), resampling samples."""
    sums, counts = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    drawn = np.random.default_rng(0).integers(0, len(sums), (_DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / np.maximum(counts[drawn].sum(1), 1), (0.025, 0.975))
    return float(sums.sum() / max(counts.sum(), 1)), float(low), float(high)


def _mean(values: Wide) -> Figure:
    return pooled(values, np.ones(len(values))) if len(values) else (np.nan, np.nan, np.nan)
