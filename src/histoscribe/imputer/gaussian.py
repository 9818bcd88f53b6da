"""The conditional Gaussian: a factor model of the genes, and what it expects of those not observed."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from histoscribe.arrays import Floats, Mask, Wide

NOISE_INFLATION = 2.5
_NOISE_FLOOR = 0.02
_STEPS = 5
_STEPS_FOR_BLOCKS = 15
_TOLERANCE = 1e-5
_ROUNDS = 200


def fit_factors(
    values: Floats,
    factors: int,
    *,
    seed: int = 0,
    inflation: float = NOISE_INFLATION,
    known: Mask | None = None,
    weights: Wide | None = None,
) -> tuple[Floats, Floats]:
    """Fit a factor analysis by expectation maximisation, never forming a genes × genes matrix.

    Rubin and Thayer, Psychometrika 47, 1982. Starts from the leading principal components. The noise is
    inflated afterwards, which shrinks what few samples overstate.

    `values` (samples, genes): standardised, without NaN; `seed`: of the randomised decomposition that starts
    it; `known` (samples, genes): False where whole blocks of samples lack genes, which tells nothing there;
    few distinct rows, every gene known to some sample; `weights` (samples,): how much each counts. Returns
    loadings (genes, factors) and noise (genes,).
    """
    samples, genes = values.shape
    factors = max(1, min(factors, samples - 1, genes))
    known = np.ones((1, genes), dtype=bool).repeat(samples, 0) if known is None else known
    weights = np.ones(samples) if weights is None else weights
    rows, which = np.unique(known, axis=0, return_inverse=True)
    blocks = [
        _Block(pattern, values[own][:, pattern], weights[own, None])
        for pattern, own in ((row, which.reshape(-1) == number) for number, row in enumerate(rows))
    ]
    count = sum(block.weights.sum() * block.pattern for block in blocks)
    variance = np.zeros(genes)
    for block in blocks:
        variance[block.pattern] += (block.weights * block.values.astype(np.float64) ** 2).sum(0)
    variance = np.maximum(variance / count, 1e-6)
    lifted = np.sqrt(weights.sum() / count).astype(np.float32)
    rooted = np.sqrt(weights).astype(np.float32)[:, None]
    loadings = _principal(np.where(known, values, 0) * lifted * rooted, factors, seed, weights.sum())
    noise = np.maximum(variance - (loadings**2).sum(1), _NOISE_FLOOR)
    for _ in range(_STEPS if len(blocks) == 1 else _STEPS_FOR_BLOCKS):
        loadings, noise = _step(blocks, loadings, noise, variance)
    return np.ascontiguousarray(loadings, dtype=np.float32), (inflation * noise).astype(np.float32)


def regress_on_factors(scores: Floats, inner: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Loadings (further genes, factors) and noise (further genes,) of genes that had no say in the factors.

    One maximisation step of `fit_factors`, given of some samples the expected factors (samples, factors),
    their covariance (factors, factors), the same for each, and the values (samples, further genes).
    """
    crossed = values.T @ scores / len(values)
    second = inner + scores.T @ scores / len(values)
    loadings = np.linalg.solve(second, crossed.T).T
    noise = np.maximum((values**2).mean(0) - (loadings * crossed).sum(1), _NOISE_FLOOR)
    return loadings.astype(np.float32), noise.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Block:
    """Samples that know the same genes: which, their values of those, their weights (samples, 1)."""

    pattern: Mask
    values: Floats
    weights: Wide


def _step(blocks: list[_Block], loadings: Wide, noise: Wide, variance: Wide) -> tuple[Wide, Wide]:
    """One round of expectation and maximisation; each gene learns from the blocks that know it."""
    factors = loadings.shape[1]
    seconds, crosses = [], []
    for block in blocks:
        own = loadings[block.pattern]
        scaled = own / noise[block.pattern, None]
        inner = np.linalg.inv(np.eye(factors) + own.T @ scaled)
        scores = block.values @ (scaled @ inner)
        weighted = block.weights * scores
        seconds.append(block.weights.sum() * inner + scores.T @ weighted)
        cross = np.zeros_like(loadings)
        cross[block.pattern] = block.values.T @ weighted
        crosses.append(cross)
    member = np.array([block.pattern for block in blocks])
    total = sum(block.weights.sum() * block.pattern for block in blocks)
    crossed = sum(crosses) / total[:, None]
    fresh = np.empty_like(loadings)
    groups, which = np.unique(member.T, axis=0, return_inverse=True)
    for number, group in enumerate(groups):
        genes = which.reshape(-1) == number
        second = sum(seconds[place] for place in np.flatnonzero(group)) / total[genes][0]
        fresh[genes] = np.linalg.solve(second, crossed[genes].T).T
    return fresh, np.maximum(variance - (fresh * crossed).sum(1), _NOISE_FLOOR)


def _principal(values: Floats, factors: int, seed: int, count: float) -> Wide:
    from sklearn.utils.extmath import randomized_svd

    _, strengths, axes = randomized_svd(values, factors, n_iter=4, random_state=seed)
    variances = strengths.astype(np.float64) ** 2 / count
    rest = max((float((values.astype(np.float64) ** 2).sum() / count)) - variances.sum(), 0.0)
    spread = rest / max(values.shape[1] - factors, 1)
    kept = np.sqrt(np.maximum(variances - spread, 1e-3))
    return np.asarray(axes.T.astype(np.float64) * kept, dtype=np.float64)


class GaussianStart(torch.nn.Module):
    """Expected factors of a sample given the genes that it has.

    `loadings` (genes, factors) and `noise` (genes,): as `fit_factors` gives them.
    """

    loadings: Tensor
    noise: Tensor

    def __init__(self, loadings: Tensor, noise: Tensor) -> None:
        super().__init__()
        self.register_buffer("loadings", loadings)
        self.register_buffer("noise", noise)

    def factors(self, values: Tensor, observed: Tensor) -> Tensor:
        """Posterior mean of the factors: one solve where all samples have the same genes, else iterations.

        Samples that each have their own genes are solved together by conjugate gradients, preconditioned by
        the solve for the average sample (Hestenes and Stiefel 1952): memory and time stay linear in samples.

        `values` and `observed` (samples, genes): standardised, and what of them may be looked at. Shape
        (samples, factors).
        """
        scaled = self.loadings / self.noise[:, None]
        pulls = torch.where(observed, values, 0.0) @ scaled
        share = observed.float().mean(0)
        precision = self.loadings.T @ (scaled * share[:, None])
        precision.diagonal().add_(1.0)
        inner = torch.linalg.cholesky(precision)
        found: Tensor = torch.cholesky_solve(pulls.T, inner).T
        if bool(((share == 0) | (share == 1)).all()):
            return found
        mask = observed.to(pulls.dtype)
        left = pulls - found - ((found @ self.loadings.T) * mask) @ scaled
        enough = _TOLERANCE * pulls.detach().norm(dim=1).clamp_min(1e-6)
        ahead = torch.cholesky_solve(left.T, inner).T
        step, power = ahead, (left * ahead).sum(1)
        for _ in range(_ROUNDS):
            if bool((left.detach().norm(dim=1) <= enough).all()):
                break
            moved = step + ((step @ self.loadings.T) * mask) @ scaled
            length = power / (step * moved).sum(1).clamp_min(1e-20)
            found = found + length[:, None] * step
            left = left - length[:, None] * moved
            ahead = torch.cholesky_solve(left.T, inner).T
            before, power = power, (left * ahead).sum(1)
            step = ahead + (power / before.clamp_min(1e-20))[:, None] * step
        return found

    def expect(self, factors: Tensor) -> Tensor:
        """Expected values of all genes, shape (samples, genes), given the factors."""
        return factors @ self.loadings.T
