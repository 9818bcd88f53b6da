"""Genes that a table has, hidden whole: what judges a model on a table, and widens its intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from histoscribe.arrays import Floats, Mask
from histoscribe.bulk.table import BulkTable
from histoscribe.imputer.gates import LEVEL_90, score_genes
from histoscribe.imputer.restorer import Restorer, restore_all
from histoscribe.imputer.units import UnitTable
from histoscribe.progress import Progress

PARTS = 4
_TRIED = 200


@dataclass(frozen=True, eq=False)
class HiddenGenes:
    """Whole genes of a table, hidden and restored."""

    truth: Floats
    guess: Floats
    """`truth` and `guess`: standardised, shape (samples, model genes)."""
    hidden: Mask
    """Which values were hidden, the same shape."""
    reach: float
    """What the model's spreads must be multiplied by to hold nine tenths of the hidden values."""
    cover: float
    """Share of these values in 90 % intervals that are set by other samples."""

    def scores(self, genes: Sequence[str]) -> pd.DataFrame:
        """As `score_genes` gives them, of these genes."""
        return score_genes(self.truth, self.guess, self.hidden, genes)


def hide_genes(
    restorer: Restorer, values: Floats, parts: int, rows: int = 1000, progress: Progress | None = None
) -> HiddenGenes:
    """Hide a quarter of a table's genes at a time, `parts` times, and restore them in at most `rows` samples.

    `values` (samples, model genes): standardised; NaN where not known.
    """
    values = values[np.unique(np.linspace(0, len(values) - 1, rows).astype(int))]
    at = np.flatnonzero(~np.isnan(values).all(0))
    part = np.random.default_rng(0).permutation(len(at)) % min(PARTS, max(len(at), 1))
    guess, spread = np.zeros_like(values), np.ones_like(values)
    hidden = np.zeros(values.shape, dtype=bool)
    numbers = np.unique(part)[:parts].tolist()
    for number in (progress or Progress()).track(numbers, "hiding genes and restoring them", len(numbers)):
        genes = at[part == number]
        shown = values.copy()
        shown[:, genes] = np.nan
        means, spreads = restore_all(restorer, shown, Progress())
        guess[:, genes], spread[:, genes] = means[:, genes], spreads[:, genes]
        hidden[:, genes] = ~np.isnan(values[:, genes]) & ~np.isnan(means[:, genes])
    ratio = np.abs(np.where(hidden, guess - values, 0)) / spread
    half = (np.random.default_rng(1).random(len(values)) < 0.5)[:, None]
    reaches = [
        float(np.quantile(ratio[some], 0.9)) if some.any() else LEVEL_90
        for some in (hidden, hidden & half, hidden & ~half)
    ]
    inside = np.where(half, ratio <= reaches[2], ratio <= reaches[1])[hidden]
    cover = float(inside.mean()) if inside.size else float("nan")
    return HiddenGenes(values, guess, hidden, max(reaches[0] / LEVEL_90, 1e-3), cover)


def names_of(bulk: BulkTable, units: UnitTable) -> list[str]:
    """The model's genes by the names that the table gives them."""
    names = np.asarray(bulk.table.var_names, dtype=str)
    return [str(n) for n in np.where(units.places >= 0, names[units.places], units.standard.genes)]


def hidden_error(restorer: Restorer, values: Floats) -> float:
    """Share of a hidden gene's variance that a restoration misses, its mean aside, of 200 samples."""
    found = hide_genes(restorer, values, parts=1, rows=_TRIED)
    missed = np.where(found.hidden, found.guess - found.truth, np.nan)
    truth = np.where(found.hidden, found.truth, np.nan)
    genes = found.hidden.sum(0) > 1
    variance = np.nanvar(truth[:, genes], 0)
    varied = variance > 1e-6
    share = np.nanvar(missed[:, genes], 0)[varied] / variance[varied]
    return float(np.mean(share)) if varied.any() else np.inf
