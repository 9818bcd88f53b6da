"""Smoothness: genes that hang together in space are written smoother than those that do not.

All genes of a low-rank prediction are nearly as smooth as each other, in tissue they are not. Each gene's
prediction is moved towards the mean over the neighbours of its tile, or away from it, by a share that grows
with the gene's place among the training genes, ordered by how far they hang together in space.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from histoscribe.arrays import Floats, Wide
from histoscribe.graphs import context_means
from histoscribe.graphs.spatial import Surroundings
from histoscribe.predictor.linear import centred, cosine
from histoscribe.rows import Held, runs_of

_REACH = 1.5  # pitches: a spot's direct neighbours
_ROUGH = (-0.6, -0.4, -0.2, 0.0)
_SMOOTH = (0.0, 0.2, 0.4, 0.6)
_AS_GOOD = 0.001

Fold = tuple[Floats, Floats, Wide, Floats]


def spatial_order(expression: Sequence[Held], centres_um: Sequence[Wide], pitch_um: float) -> Floats:
    """The place of each gene among all, from 0 (least spatial) to 1, shape (genes,).

    By the autocorrelation over direct neighbours, Moran's I with each spot among its own neighbours, averaged
    over sections.

    `expression` each (spots, genes); `centres_um` each (spots, 2).
    """
    found = [
        _autocorrelation(centred(values), centred(_around(values, centres, pitch_um)))
        for values, centres in zip(map(np.asarray, expression), centres_um, strict=True)
    ]
    return _places(np.mean(found, axis=0)).astype(np.float32)


def smoothed(
    values: Held, centres_um: Wide, pitch_um: float, share: Floats
) -> Iterator[tuple[slice, Floats]]:
    """Values (tiles, genes) by runs, each gene moved by its share (genes,) towards its neighbours'."""
    every = runs_of(values)
    if not share.any():
        yield from ((rows, values[rows]) for rows in every)
        return
    around = Surroundings(centres_um, pitch_um, _REACH)
    sums = around.gathered((values[rows] for rows in every), values.shape[1])
    for rows in every:
        own = values[rows]
        yield rows, np.asarray(own + share * (around.means(sums, rows) - own), dtype=np.float32)


def choose_smoothness(folds: Sequence[Fold], pitch_um: float) -> tuple[float, float]:
    """Shares of the neighbours' mean in the least and in the most spatial gene.

    Of the shares whose mean r on what was held out comes within 0.001 of the best, those by which genes are
    ordered in space most as the measured ones are (Spearman's correlation of their autocorrelations).

    `folds`: of each held-out section: values of shape (spots, genes), places, and `spatial_order` of its
    fold's training sections.
    """
    choices = list(product(_ROUGH, _SMOOTH))
    r, agreement = np.zeros(len(choices)), np.zeros(len(choices))
    for predicted, measured, centres, order in folds:
        once = _around(predicted, centres, pitch_um)
        first, second = centred(once), centred(_around(once, centres, pitch_um))
        plain, truth = centred(predicted), centred(measured)
        wanted = _places(_autocorrelation(truth, centred(_around(measured, centres, pitch_um))))
        for number, (rough, smooth) in enumerate(choices):
            share = rough + (smooth - rough) * order
            written, around = plain + share * (first - plain), first + share * (second - first)
            r[number] += cosine(written, truth).mean()
            reached = _places(_autocorrelation(written, around))
            agreement[number] += np.corrcoef(reached, wanted)[0, 1] if len(wanted) > 1 else 0.0
    good = r / len(folds) >= r.max() / len(folds) - _AS_GOOD
    return choices[int(np.argmax(np.where(good, agreement, -np.inf)))]


def _around(values: Floats, centres_um: Wide, pitch_um: float) -> Floats:
    return context_means(values, centres_um, pitch_um, (_REACH,))


def _autocorrelation(values: Wide, around: Wide) -> Wide:
    return np.asarray((values * around).sum(axis=0) / np.maximum((values**2).sum(axis=0), 1e-12))


def _places(values: Wide) -> Wide:
    """Ranks from 0 to 1."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(len(values) - 1, 1)
