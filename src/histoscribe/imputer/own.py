"""A table's own structure: what its samples tell of each other's missing values."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask
from histoscribe.imputer.gaussian import GaussianStart
from histoscribe.rows import squared_distances

_NOISE, _NOISE_COUNT, _NOISE_FLOOR = 0.5, 10.0, 0.02
_CHUNK = 256
_LEARNED = 1000
_WIDTH, _NUGGET = 2.0, 0.01
_SHRUNK = 0.2
_BLOCK = 1500
_PIECE = 4_000_000


def fit_holed(
    values: Floats, known: Mask, size: int, *, prior: float, rounds: int, start: GaussianStart | None = None
) -> GaussianStart:
    """Fit a factor model to a table full of holes by expectation maximisation over what is known alone.

    Every sample's factors follow from its own genes; a normal prior on the loadings shrinks what few
    values overstate. At most 1,000 samples, evenly spread, are learned from.

    `values` (samples, genes): standardised, 0 where not `known`; `size`: how many factors; `prior`: its
    weight, in samples; `start`: where to go on from, by default from principal components.
    """
    from sklearn.utils.extmath import randomized_svd

    rows = np.unique(np.linspace(0, len(values) - 1, _LEARNED).astype(int))
    values, known = values[rows], known[rows]
    samples, genes = values.shape
    if start is None:
        lifted = values / np.sqrt(max(known.mean(), 1e-3))
        _, strengths, axes = randomized_svd(lifted, size, n_iter=4, random_state=0)
        kept = np.sqrt(np.maximum(strengths**2 / samples - _NOISE, 0.01))
        start = GaussianStart(
            torch.from_numpy((axes.T * kept).astype(np.float32)), torch.full((genes,), _NOISE)
        )
    loadings, noise = start.loadings, start.noise
    size = loadings.shape[1]
    table, mask, eye = torch.from_numpy(values), torch.from_numpy(known).float(), torch.eye(size)
    power, count = table.square().sum(0), mask.sum(0)
    step = max(1, _PIECE // size**2)
    for _ in range(rounds):
        scaled = loadings / noise[:, None]
        precision = eye.reshape(-1).repeat(samples, 1)
        for at in range(0, genes, step):
            part = slice(at, at + step)
            squares = (scaled[part, :, None] * loadings[part, None, :]).reshape(-1, size * size)
            precision += mask[:, part] @ squares
        inner = torch.linalg.inv(precision.reshape(samples, size, size))
        scores = (inner @ (table @ scaled)[:, :, None]).squeeze(2)
        second = (inner + scores[:, :, None] * scores[:, None, :]).reshape(samples, -1)
        crossed, fresh, left = table.T @ scores, torch.empty_like(loadings), torch.empty_like(noise)
        for at in range(0, genes, step):
            part = slice(at, at + step)
            own = (mask[:, part].T @ second).reshape(-1, size, size)
            found = torch.linalg.solve(own + prior * eye, crossed[part])
            spread = ((own @ found[:, :, None]).squeeze(2) * found).sum(1)
            left[part] = power[part] - 2 * (crossed[part] * found).sum(1) + spread
            fresh[part] = found
        loadings = fresh
        noise = ((left + _NOISE_COUNT * _NOISE) / (count + _NOISE_COUNT)).clamp_min(_NOISE_FLOOR)
    return GaussianStart(loadings, noise)


def expect_holed(start: GaussianStart, values: Floats, known: Mask) -> Floats:
    """What the factor model expects of every value, shape (samples, genes)."""
    expected = np.empty_like(values)
    for at in range(0, len(values), _CHUNK):
        rows = slice(at, at + _CHUNK)
        told = torch.from_numpy(values[rows]), torch.from_numpy(known[rows])
        expected[rows] = start.expect(start.factors(*told)).numpy()
    return expected


def from_fuller(values: Floats, known: Mask, guess: Floats) -> list[Floats]:
    """What samples that have more genes say of those that share one pattern of holes; elsewhere `guess`.

    Two words, both by the genes of the pattern alone: the conditional Gaussian with a covariance shrunk by a
    fifth, in its dual form, and the Gaussian process of `from_likeness`.
    """
    told = [guess.copy(), guess.copy()]
    for pattern in np.unique(known, axis=0):
        rows = (known == pattern).all(1)
        fuller = (known >= pattern).all(1) & ~rows
        if pattern.all() or rows.sum() < 2 or fuller.sum() < 2:
            continue
        teachers, asked = values[fuller][:, pattern], values[rows][:, pattern]
        taught = np.where(known, values, guess)[fuller][:, ~pattern].astype(np.float64)
        ridge = _SHRUNK / (1 - _SHRUNK) * len(teachers)
        apart = squared_distances(teachers, teachers)
        scale = _WIDTH * (float(np.median(apart[~np.eye(len(apart), dtype=bool)])) or 1.0)
        alike = _matern(squared_distances(asked, teachers) / scale), _matern(apart / scale), _NUGGET
        for word, (across, within, nugget) in zip(
            told, ((asked @ teachers.T, teachers @ teachers.T, ridge), alike), strict=True
        ):
            kernel = within.astype(np.float64)
            kernel[np.diag_indices_from(kernel)] += nugget
            word[np.ix_(rows, ~pattern)] = across @ np.linalg.solve(kernel, taught)
    return told


def from_likeness(completed: Floats, nugget: float) -> Floats:
    """What the other samples say of each, by how alike they are, itself left out; shape (samples, genes).

    A Gaussian process over samples with a Matérn 3/2 covariance, leave-one-out in closed form (Rasmussen and
    Williams 2006, chapters 4 and 5). More than 1,500 samples are split, each part evenly spread.

    `completed` (samples, genes): standardised, holes filled with what is expected so far; `nugget`: share of
    the variance that alike samples do not share.
    """
    told = np.empty_like(completed)
    parts = -(-len(completed) // _BLOCK)
    for number in range(parts):
        some = completed[number::parts]
        distance = squared_distances(some, some)
        apart = ~np.eye(len(some), dtype=bool)
        kernel = _matern(distance / (_WIDTH * (np.median(distance[apart]) or 1.0))).astype(np.float64)
        kernel[~apart] += nugget
        inverse = np.linalg.inv(kernel)
        told[number::parts] = some - (inverse @ some) / np.diag(inverse)[:, None]
    return told


def _matern(ratio: NDArray[np.floating[Any]]) -> Floats:
    root = np.sqrt(3 * ratio + 1e-12)
    return np.asarray((1 + root) * np.exp(-root), dtype=np.float32)
