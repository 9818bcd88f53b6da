"""How far to trust the memory over the Gaussian, and how wrong the answer may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from histoscribe.arrays import Floats, Mask, Numbers

KNOTS = ((0.1, 0.3, 0.5, 0.7, 0.9), (0.02, 0.07, 0.3, 0.5, 0.8))
LEVEL_90 = 1.6448536
_PRIOR_CELLS, _LEAST_CELLS = 25.0, 10
_HALF_HIDDEN = (0, 2)


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Training samples restored by models that have not seen their patients."""

    mode: int
    """0 where single values are hidden, 1 where whole genes are."""
    knot: int
    """Which share of observed genes, an index into `KNOTS[mode]`."""
    rows: Numbers
    """Which training samples, shape (samples,)."""
    truth: NDArray[np.float16]
    gaussian: NDArray[np.float16]
    memory: NDArray[np.float16]
    """`truth`, `gaussian` and `memory`: standardised values and what the two expect, shape (samples,
    genes)."""
    observed: Mask
    scored: Mask
    """`observed` and `scored`: what the models saw; what was hidden from them and is known. Shape (samples,
    genes)."""
    surprise: Floats
    """Distance to the nearest reference, shape (samples,)."""


class Gates(torch.nn.Module):
    """Gates and spreads, looked up by which share of the genes is observed.

    Kept for five shares (`KNOTS`) and two modes: single values hidden (0), whole genes absent (1).
    `own`: the share is taken of so many genes, the first ones: those that the table rehearsed with has.
    """

    gate: Tensor
    share: Tensor
    spread: Tensor
    slope: Tensor
    usual: Tensor

    def __init__(self, genes: int, own: int | None = None) -> None:
        super().__init__()
        self.own = own or genes
        knots = len(KNOTS[0])
        self.register_buffer("gate", torch.ones(2, knots))
        self.register_buffer("share", torch.zeros(2, knots))
        self.register_buffer("spread", torch.ones(2, knots, genes))
        self.register_buffer("slope", torch.zeros(2, knots))
        self.register_buffer("usual", torch.zeros(2, knots))

    def fit(self, rehearsals: list[Rehearsal]) -> float:
        """Learn gates, spreads and their dependence on surprise from held-out answers.

        Gives the squared error of the blended answers, mean over knots.
        """
        errors = []
        for one in rehearsals:
            at = (one.mode, one.knot)
            parts = (one.truth, one.gaussian, one.memory)
            truth, gaussian, memory = (part.astype(np.float32) for part in parts)
            step = (memory - gaussian)[one.scored]
            power = float((step**2).sum())
            gate = float(((truth - gaussian)[one.scored] * step).sum()) / power if power > 0 else 0.0
            self.gate[at] = min(max(gate, 0.0), 2.0)
            missed = np.where(one.scored, truth - gaussian - float(self.gate[at]) * (memory - gaussian), 0.0)
            cells = one.scored.sum(0)
            overall = (missed**2).sum() / max(cells.sum(), 1)
            errors.append(float(overall))
            variance = ((missed**2).sum(0) + _PRIOR_CELLS * overall) / (cells + _PRIOR_CELLS)
            spread = np.sqrt(np.maximum(variance, 1e-6))
            level = np.sqrt(((missed / spread) ** 2).sum(1) / np.maximum(one.scored.sum(1), 1))
            surprise = np.log(np.maximum(one.surprise, 1e-3))
            usual = float(surprise.mean())
            around = surprise - usual
            height = np.log(np.maximum(level, 1e-3))
            slope = float((around * (height - height.mean())).sum() / max((around**2).sum(), 1e-6))
            self.slope[at], self.usual[at] = min(max(slope, 0.0), 1.5), usual
            factor = np.exp(float(self.slope[at]) * around)[:, None]
            reach = float(np.quantile((np.abs(missed) / (spread * factor))[one.scored], 0.9)) / LEVEL_90
            self.spread[at] = torch.from_numpy((spread * max(reach, 1e-3)).astype(np.float32))
        return sum(errors) / len(errors)

    def look_up(self, mode: int, observed: Tensor, surprise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gate (samples, 1), share (samples, 1) and spread (samples, genes) for these samples."""
        fraction = observed[:, : self.own].float().mean(1).clamp_min(1e-4)
        knots = torch.tensor(KNOTS[mode]).log()
        place = fraction.log().clamp(float(knots[0]), float(knots[-1]))
        right = torch.searchsorted(knots, place).clamp(1, len(knots) - 1)
        weight = ((place - knots[right - 1]) / (knots[right] - knots[right - 1]))[:, None]

        def between(table: Tensor) -> Tensor:
            table = table.reshape(len(knots), -1)
            return table[right - 1] * (1 - weight) + table[right] * weight

        above = surprise.clamp_min(1e-3).log()[:, None] - between(self.usual[mode])
        factor = (between(self.slope[mode]) * above).exp().clamp(0.3, 5.0)
        return between(self.gate[mode]), between(self.share[mode]), between(self.spread[mode]) * factor


def held_out_scores(
    rehearsals: list[Rehearsal], gates: Gates, genes: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Pearson r of each gene with half of all values hidden, over held-out training patients.

    `r` with `low` and `high` (Fisher's 95 % interval) for each gene that has at least 10 hidden values.
    """
    one = next((one for one in rehearsals if (one.mode, one.knot) == _HALF_HIDDEN), None)
    if one is None:
        return {}
    truth, gaussian, memory = (part.astype(np.float32) for part in (one.truth, one.gaussian, one.memory))
    guess = gaussian + float(gates.gate[_HALF_HIDDEN]) * (memory - gaussian)
    scores = score_genes(truth, guess, one.scored, genes)[["r", "low", "high"]]
    return {str(name): {"r": r, "low": a, "high": b} for name, r, a, b in scores.round(4).itertuples()}


def score_genes(truth: Floats, guess: Floats, hidden: Mask, genes: Sequence[str]) -> pd.DataFrame:
    """Pearson's `r` of each gene over its hidden values, Fisher's `low` and `high` (95 %), and `samples`.

    Genes with fewer than 10 hidden values, or constant ones, are left out.
    """
    count = hidden.sum(0)
    weight = hidden / np.maximum(count, 1)
    a, b = (np.where(hidden, part, 0).astype(np.float64) for part in (truth, guess))
    a, b = (part - (part * weight).sum(0) for part in (a, b))
    powers = (a**2 * weight).sum(0), (b**2 * weight).sum(0)
    good = (count >= _LEAST_CELLS) & (np.minimum(*powers) > 1e-6)
    r = np.clip((a * b * weight).sum(0)[good] / np.sqrt(powers[0] * powers[1])[good], -0.9999, 0.9999)
    low, high = fisher_interval(r, count[good])
    found = {"r": r, "low": low, "high": high, "samples": count[good]}
    return pd.DataFrame(found, index=np.asarray(genes, dtype=str)[good])


def fisher_interval(r: Any, count: Any) -> tuple[Any, Any]:
    """Fisher's 95 % interval of a Pearson correlation over `count` samples, elementwise."""
    width = 1.96 / np.sqrt(np.maximum(count - 3, 1))
    return np.tanh(np.arctanh(r) - width), np.tanh(np.arctanh(r) + width)
