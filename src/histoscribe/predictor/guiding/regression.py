"""Regression on given spots: Gaussian processes over tiles and genes in closed form, weighed on inner folds.

A process has the covariance K ⊗ C: K says how alike two tiles are, C which genes go together, so that genes
share their evidence. On the axes of C it falls into one ridge regression per axis (Bonilla, Chai and
Williams, NIPS 2007; Stegle et al., NIPS 2011), all with one eigenvalue decomposition. Above 600 given spots,
K is that of 600 of them (Nyström).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from histoscribe.arrays import Wide
from histoscribe.predictor.guiding.kernels import Kernel, Rows

_LANDMARKS = 600
_AXES = 64
_FLOOR = 0.02
_STRENGTHS = (3.0, 10.0)
_OWN = (0.0, 0.4)
_LEANING = 0.7
_EVEN = 1.0
_HELD = 1000
_CHUNK = 4096
_BEHIND = 8


@dataclass(frozen=True, eq=False)
class GivenSpots:
    """What was measured, in the units of the model."""

    rows: Rows
    """Which tiles of the view they lie on, shape (spots,)."""
    expression: Wide
    """Standardised, not centred, shape (spots, genes)."""
    weight: Wide
    """How much each of them is believed, by its depth, shape (spots,)."""

    def centre(self, values: Wide, some: Rows) -> Wide:
        """The weighted mean of values (spots, genes) over some of the spots."""
        return np.asarray(np.average(values[some], axis=0, weights=self.weight[some]))


@dataclass(frozen=True)
class SpotAnswer:
    """One way to answer from the given spots."""

    kernel: str
    """Empty for the model's word by itself."""
    prior: float
    """Which share of the model's word it starts from."""
    own: float = 0.0
    """Which share of the genes' covariance is that of the given spots; the rest is the model's."""
    strength: float = 0.0
    """Of the noise."""

    def __str__(self) -> str:
        if not self.kernel:
            return "the model alone"
        lean = f", from {self.prior:g} of the model" if self.prior else ""
        return f"{self.kernel}{lean}, {self.own:g} own genes, noise {self.strength:g}"


@dataclass(frozen=True, eq=False)
class HeldOutSpots:
    """Given spots that were held out, and what was said of them."""

    level: Wide
    """The mean profile of the other given spots, shape (genes,)."""
    told: Wide
    """Of every answer, as differences from this level, shape (answers, spots, genes)."""
    measured: Wide
    """Shape (spots, genes)."""
    weight: Wide
    """Shape (spots,)."""


class SpotAnswers:
    """All answers to one task, learned from any of the given spots.

    `prior` (tiles, genes): what the model says of every tile, standardised; `covariance` (genes, genes): of
    the genes, by the model.
    """

    def __init__(
        self, kernels: Mapping[str, Kernel], given: GivenSpots, prior: Wide | None, covariance: Wide | None
    ) -> None:
        self.given, self.prior, self.covariance = given, prior, covariance
        self.kernels = kernels
        rng = np.random.default_rng(0)
        self.landmarks = given.rows[np.sort(rng.permutation(len(given.rows))[:_LANDMARKS])]
        self._maps: dict[str, Wide] = {}
        self._seen: dict[str, Wide] = {}
        for name, kernel in kernels.items():
            among = kernel(self.landmarks, self.landmarks)
            lower = np.linalg.cholesky(among + 1e-6 * np.trace(among) / len(among) * np.eye(len(among)))
            self._maps[name] = np.linalg.inv(lower).T
            self._seen[name] = kernel(given.rows, self.landmarks) @ self._maps[name]
        shares = (1.0,) if covariance is None else _OWN
        every = [SpotAnswer(name, 0.0, own, by) for name, own, by in product(kernels, shares, _STRENGTHS)]
        if prior is not None:
            leaning = [SpotAnswer("joined", _LEANING, own, by) for own, by in product(shares, _STRENGTHS)]
            every = [SpotAnswer("", 1.0), *every, *leaning]
        self.every = tuple(every)

    def learned(self, some: Rows) -> Iterator[Wide]:
        """Of every answer the coefficients (landmarks, genes) on the kernel's own axes, from these spots."""
        given, weight = self.given, self.given.weight[some]
        centred = given.expression[some] - given.centre(given.expression, some)
        root = np.sqrt(weight)[:, None]
        bases = self._bases(some)
        solved = {}
        for name, seen in self._seen.items():
            inputs = seen[some] * root
            solved[name] = (*np.linalg.eigh(inputs.T @ inputs), inputs)
        for answer in self.every:
            if not answer.kernel:
                yield np.zeros((len(self.landmarks), centred.shape[1]))
                continue
            wanted = centred
            if answer.prior and self.prior is not None:
                said = self.prior[given.rows]
                wanted = centred - answer.prior * (said[some] - given.centre(said, some))
            spread, axes, inputs = solved[answer.kernel]
            share, genes = bases[answer.own]
            scores = axes.T @ (inputs.T @ (wanted * root))
            along = scores @ genes
            rest = (scores - along @ genes.T) / (np.maximum(spread, 0)[:, None] + answer.strength / _FLOOR)
            along = along / (np.maximum(spread, 0)[:, None] + answer.strength / share)
            yield axes @ (along @ genes.T + rest)

    def held_out(self, held: Rows) -> HeldOutSpots:
        """What every answer, learned from the other given spots, says of these."""
        given = self.given
        some = np.setdiff1d(np.arange(len(given.rows)), held)
        found = np.empty((len(self.every), len(held), given.expression.shape[1]))
        for number, (answer, weights) in enumerate(zip(self.every, self.learned(some), strict=True)):
            found[number] = self._seen[answer.kernel][held] @ weights if answer.kernel else 0.0
            if answer.prior and self.prior is not None:
                prior = self.prior[given.rows]
                found[number] += answer.prior * (prior[held] - given.centre(prior, some))
        level = given.centre(given.expression, some)
        return HeldOutSpots(level, found, given.expression[held], given.weight[held])

    def mixed(self, shares: Wide, tiles: int) -> tuple[Wide, Rows, Wide]:
        """The answers of all given spots, weighed, for every tile, and which spots pull at it most.

        Returns expression (tiles, genes), then numbers of spots and their shares of the pull of all spots,
        both (tiles, some spots), strongest first: sizes of their weights, over the genes' axes by signal.
        """
        given, every = self.given, np.arange(len(self.given.rows))
        out = np.tile(given.centre(given.expression, every), (tiles, 1))
        on: dict[str, Wide] = {}
        for answer, share, weights in zip(self.every, shares, self.learned(every), strict=True):
            if answer.kernel and share:
                on[answer.kernel] = on.get(answer.kernel, 0.0) + share * (self._maps[answer.kernel] @ weights)
        if (leaning := self.leaning(shares)) and self.prior is not None:
            out += leaning * (self.prior[:tiles] - given.centre(self.prior[given.rows], every))
        pulls = self._pulls(shares, on)
        kept = min(_BEHIND, len(every))
        behind, pulled = np.zeros((tiles, kept), np.int64), np.zeros((tiles, kept))
        for start in range(0, tiles, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, tiles))
            size = np.zeros((len(rows), len(every)))
            for name, weights in on.items():
                near = self.kernels[name](rows, self.landmarks)
                out[rows] += near @ weights
                size += near @ pulls[name]
            size = np.abs(size)
            first = np.argpartition(-size, kept - 1, axis=1)[:, :kept]
            order = np.argsort(-np.take_along_axis(size, first, 1), axis=1, kind="stable")
            first = np.take_along_axis(first, order, 1)
            whole = np.maximum(size.sum(axis=1, keepdims=True), 1e-12)
            behind[rows], pulled[rows] = first, np.take_along_axis(size, first, 1) / whole
        return out, behind, pulled

    def leaning(self, shares: Wide) -> float:
        """Which share of the mixed answers is the model's word."""
        return float(sum(share * answer.prior for answer, share in zip(self.every, shares, strict=True)))

    def _pulls(self, shares: Wide, kernels: Iterable[str]) -> dict[str, Wide]:
        """What a unit at each spot adds at each kernel's landmarks, over the genes' axes by their signal.

        Shape (landmarks, spots).
        """
        bases, found = self._bases(np.arange(len(self.given.rows))), {}
        for name in kernels:
            weighted = self._seen[name] * self.given.weight[:, None]
            spread, axes = np.linalg.eigh(weighted.T @ self._seen[name])
            passed = np.zeros(len(spread))
            for answer, share in zip(self.every, shares, strict=True):
                if answer.kernel == name:
                    signal = bases[answer.own][0]
                    damped = 1 / (np.maximum(spread, 0)[:, None] + answer.strength / signal)
                    passed += share * (damped @ signal) / signal.sum()
            found[name] = self._maps[name] @ (axes * passed) @ (axes.T @ weighted.T)
        return found

    def _bases(self, some: Rows) -> dict[float, tuple[Wide, Wide]]:
        """The genes' main axes by these spots and by the model, for each share of the two."""
        given, weight = self.given, self.given.weight[some]
        centred = given.expression[some] - given.centre(given.expression, some)
        rooted = centred * np.sqrt(weight)[:, None] / np.sqrt(weight.sum())
        return {own: self._gene_axes(rooted, own) for own in {one.own for one in self.every if one.kernel}}

    def _gene_axes(self, rooted: Wide, own: float) -> tuple[Wide, Wide]:
        """How much signal the main axes of the genes' covariance have, and these axes (genes, axes)."""
        from scipy.linalg import eigh

        among = own * (rooted.T @ rooted)
        if self.covariance is not None:
            among = among + (1 - own) * self.covariance
        count = len(among)
        kept = min(_AXES, count)
        values, axes = eigh(among, subset_by_index=[count - kept, count - 1])
        mean = max(float(np.trace(among)) / count, 1e-12)
        noise = (mean * count - values.sum()) / (count - kept) if count > kept else values[0]
        return np.maximum(values - noise, 0) / mean + _FLOOR, axes


def weighed(folds: Sequence[HeldOutSpots]) -> Wide:
    """Shares of the answers, in the simplex together with that of the mean profile: shape (answers,).

    Least squares over what was held out, centred per fold (levels come from the given spots anyway), shrunk
    to even shares.
    """
    from scipy.optimize import nnls

    count = len(folds[0].told)
    among, with_truth = np.zeros((count, count)), np.zeros(count)
    for fold in folds:
        root = np.sqrt(fold.weight)[:, None]
        middle = np.average(fold.told, axis=1, weights=fold.weight)
        parts = ((fold.told - middle[:, None]) * root).reshape(count, -1)
        truth = (fold.measured - np.average(fold.measured, axis=0, weights=fold.weight)) * root
        among += parts @ parts.T
        with_truth += parts @ truth.ravel()
    even = _EVEN * np.trace(among) / count**2 + 1e-12
    lower = np.linalg.cholesky(among + (even + 1e-9 * np.trace(among)) * np.eye(count))
    shares = nnls(lower.T, np.linalg.solve(lower, with_truth + even / count))[0]
    return np.asarray(shares / max(1.0, shares.sum()))


def folds_like(centres_um: Wide, asked_um: Wide, pitch_um: float) -> list[Rows]:
    """Which given spots to hold out at a time: fifths at random, twice, or both halves along both sides.

    Whichever leaves the held-out spots about as far from the nearest spot that stays as what is asked for
    lies from the nearest given spot: what is beyond them must not be judged by what is between them.

    `centres_um` (spots, 2); `asked_um` (tiles, 2): tiles that are asked for and hold no given spot;
    `pitch_um`: shorter distances count as this one.
    """
    from scipy.spatial import cKDTree

    count = len(centres_um)
    orders = [np.random.default_rng(seed).permutation(count) for seed in range(2)]
    fifths = [np.sort(order[first::5]) for order in orders for first in range(5)]
    sides = [np.argsort(along, kind="stable") for along in centres_um.T]
    halves = [np.sort(half) for order in sides for half in np.array_split(order, 2)]

    def far(held: list[Rows]) -> float:
        found = [cKDTree(np.delete(centres_um, rows, axis=0)).query(centres_um[rows])[0] for rows in held]
        return float(np.log(np.median(np.maximum(np.concatenate(found), pitch_um))))

    asked = cKDTree(centres_um).query(asked_um)[0] if len(asked_um) else np.zeros(1)
    wanted = float(np.log(np.median(np.maximum(asked, pitch_um))))
    chosen = min((fifths, halves), key=lambda folds: abs(far(folds) - wanted))
    most = max(1, _HELD // len(chosen))
    return [held[:: -(-len(held) // most)] for held in chosen]
