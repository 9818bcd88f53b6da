"""Intervals that hold: conformal bounds around each prediction, from what was held out in training.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018) with the residuals of inner validation, for
each gene and each third of the predicted values by itself, because the spread of counts grows with their
mean. Three things make a new section unlike those that were held out, and each widens the bounds:

- *depth*: held-out counts are thinned, or topped up from the gene's posterior, to a ladder of depths;
- *the patient*: residuals of known patients are kept apart from those of new ones. What few patients cannot
  show of new ones is added: levels of genes differ between patients by a factor whose logarithm has a
  deviation of `PATIENTS`;
- *the image*: tiles that are unlike, or too coarse, get `wider` bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Floats, Numbers, Wide

LEVEL = 0.9
BINS = 3
DEPTHS = (150.0, 500.0, 1500.0, 5000.0, 15_000.0, 50_000.0)
PATIENTS = 0.64
"""Deviation of a gene's log level between patients: median over the breast model's genes in the 113 primary
breast tumours of TCGA (`bulk/tcga11_tumor_normal`)."""
_SPOTS = 900
_DRAWS = 7


@dataclass(frozen=True, eq=False)
class HeldOutTissue:
    """One held-out section beside what was predicted of it."""

    predicted: Floats
    measured: Floats
    """`predicted` and `measured`: log expression, shape (spots, genes)."""
    counts: Wide | None
    """Of the panel; None where the target is not normalised per spot, so that depth cannot be changed. Shape
    (spots, genes)."""
    depth: Wide
    """Counts of all genes, shape (spots,)."""
    known: bool = False
    """Whether other tissue of its patient was trained on."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """Bounds around predictions of log expression: for known patients first, then for new ones."""

    edges: Floats
    """Predicted values that part the bins of a gene, shape (2, bins - 1, genes)."""
    low: Floats
    high: Floats
    """`low` and `high`: what is added to a prediction in each bin, at the depths of training and at each of
    `depths`: `low` is never positive, `high` never negative. Shape (2, 1 + depths, bins, genes)."""
    depths: Floats
    """Counts of a spot, rising; may be empty. Shape (depths,)."""

    def around(
        self,
        expression: Floats,
        *,
        known: bool = False,
        depth: Wide | None = None,
        wider: Floats | float = 1.0,
    ) -> tuple[Floats, Floats]:
        """Lower and upper bounds of a measurement, each of shape (tiles, genes), never negative.

        `expression` (tiles, genes). `known`: whether the model knows other tissue of the patient. `depth`
        (tiles,): counts of that measurement at each tile; as in training if not given. `wider` (tiles,): how
        many times wider than where everything is known.
        """
        kind = 0 if known else len(self.edges) - 1
        rung = np.zeros(len(expression))
        if depth is not None and len(self.depths):
            steps = np.arange(1, 1 + len(self.depths))
            rung = np.interp(np.log(np.maximum(depth, 1)), np.log(self.depths), steps)
        below = np.minimum(rung.astype(np.int64), self.low.shape[1] - 1)
        above, share = np.minimum(below + 1, self.low.shape[1] - 1), rung - below
        low, high = np.empty_like(expression), np.empty_like(expression)
        for gene in range(expression.shape[1]):
            inside = np.searchsorted(self.edges[kind, :, gene], expression[:, gene], side="right")
            for out, bound in ((low, self.low), (high, self.high)):
                mine, told = bound[kind, :, :, gene], expression[:, gene]
                ends = [np.maximum(told + wider * mine[rung, inside], 0) for rung in (below, above)]
                out[:, gene] = (1 - share) * ends[0] + share * ends[1]
        return low, high


def widening(novelty: Floats, fineness: float | None) -> Floats:
    """How many times wider bounds are at tiles of this novelty, on an image so many times coarser than
    training.

    A twentieth for each doubling of coarseness; for tiles beyond what is usual, the fourth root of their
    novelty.
    """
    coarse = 1 + 0.05 * np.log2(max(fineness or 1.0, 1.0))
    return np.asarray(coarse * np.clip(novelty, 1, 4) ** 0.25, dtype=np.float32)


def conformal(held: Sequence[HeldOutTissue], patients: int = 1, seed: int = 0) -> Intervals:
    """Bounds that hold for a spot of a new section with probability `LEVEL`.

    `held`: every section counts alike, however many spots it has: a new section is drawn from the sections.
    `patients`: that the model learned from. Residuals of held-out patients show how much p patients differ,
    and what they cannot show yet is taken for 1 / √p of the usual; one patient shows nothing. The new one
    differs as well.
    """
    rng = np.random.default_rng(seed)
    depths = DEPTHS if all(one.counts is not None for one in held) else ()
    found = []
    for known in (True, False):
        mine = [one for one in held if one.known is known] or held
        shift = 0.0 if known else PATIENTS * np.sqrt((1 + 1 / patients) / patients)
        rungs = [_bounds(mine, depth, shift if depths else 0.0, rng) for depth in (None, *depths)]
        found.append((rungs[0][0], *(np.stack([rung[part] for rung in rungs]) for part in (1, 2))))
    edges, low, high = (np.stack(part).astype(np.float32) for part in zip(*found, strict=True))
    return Intervals(edges, low, high, np.asarray(depths, dtype=np.float32))


def _bounds(
    held: Sequence[HeldOutTissue], depth: float | None, shift: float, rng: np.random.Generator
) -> tuple[Wide, Wide, Wide]:
    """Edges and bounds per bin and gene, where each spot is measured at a depth, and each gene's level
    shifted."""
    from scipy.special import ndtri

    draws = np.exp(shift * ndtri((np.arange(_DRAWS) + 0.5) / _DRAWS)) if shift else np.ones(1)
    predicted, rest = [], []
    for one in held:
        rows = np.linspace(0, len(one.depth) - 1, max(_SPOTS // len(held), 1)).round().astype(np.int64)
        told = one.predicted[rows].astype(np.float64)
        factors = rng.permuted(np.tile(draws[:, None], told.shape[1]), axis=0)
        for factor in factors:
            measured = one.measured[rows].astype(np.float64)
            if one.counts is not None and (depth is not None or shift):
                wanted = one.depth[rows] if depth is None else np.full(len(rows), depth)
                measured = _at_depth(one.counts, one.depth, rows, wanted, factor, rng)
            predicted.append(told)
            rest.append(measured - told)
    told, error = np.concatenate(predicted), np.concatenate(rest)
    order = np.argsort(told, axis=0, kind="stable")
    told, error = np.take_along_axis(told, order, 0), np.take_along_axis(error, order, 0)
    spots = sum(len(one.depth) for one in held)
    bins = np.array_split(np.arange(len(told)), BINS)
    edges = np.stack([told[rows[0]] for rows in bins[1:]])
    if spots < 10 * BINS**2:
        bins = [np.arange(len(told))] * BINS
    bounds = []
    for rows in bins:
        ordered = np.sort(error[rows], axis=0)
        alike = max(spots * len(rows) / len(told), 1)  # a new spot is counted with those that are there
        tail = (1 + LEVEL) / 2 * (alike + 1) / alike * len(rows)
        last = min(int(np.ceil(tail - 1e-9)) - 1, len(rows) - 1)
        # A bias of the held-out sections widens the interval; it never moves it off the prediction.
        bounds.append((np.minimum(ordered[len(rows) - 1 - last], 0), np.maximum(ordered[last], 0)))
    return edges, np.stack([low for low, _ in bounds]), np.stack([high for _, high in bounds])


def _at_depth(
    counts: Wide, depth: Wide, rows: Numbers, wanted: Wide, factor: Wide, rng: np.random.Generator
) -> Wide:
    """Log expression of some spots as if they had been counted to another depth, and each gene's level
    shifted.

    Counts are thinned; where more are wanted, a spot's rate is drawn from its posterior under the gene's
    Gamma prior (empirical Bayes, by the moments over the section), and what is lacking from a Poisson of it.
    """
    rate = counts / depth[:, None]
    mean = np.maximum(rate.mean(axis=0), 1e-12)
    spread = np.maximum(rate.var(axis=0) - mean * np.mean(1 / depth), (0.3 * mean) ** 2)
    shape, pace = mean**2 / spread, mean / spread
    seen, had = counts[rows], depth[rows, None]
    share = wanted[:, None] * factor / had
    drawn = rng.binomial(seen.astype(np.int64), np.minimum(share, 1)).astype(np.float64)
    rates = rng.gamma(seen + shape, 1 / (had + pace))
    drawn += rng.poisson(rates * np.maximum(share - 1, 0) * had)
    return np.asarray(np.log1p(1e4 * drawn / wanted[:, None]), dtype=np.float64)
