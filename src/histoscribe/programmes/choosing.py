"""How many programmes, and how much survival has to say: by stability and by what held-out patients say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Mask, Numbers, Wide
from histoscribe.models.folds import deal_folds
from histoscribe.programmes.cox import Survival, ridge_cox
from histoscribe.programmes.factors import PENALTY, Factors, GeneScaling, factorise, matched, project

STABLE = 0.9
"""Mean cosine to the programmes of other seeds from which a number counts as stable."""
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Folds:
    """A table, its survival where that is known, and which fold holds each sample out."""

    values: Wide
    """As `GeneScaling` takes them, NaN where missing. Shape (samples, genes)."""
    survival: Survival | None
    number: Numbers
    """The fold of each sample; a patient is in one alone. Shape (samples,)."""

    def split(self, fold: int) -> tuple[Mask, Wide, Survival | None]:
        """Whom a fold holds out, all samples scaled by the others, and the survival of these."""
        out = self.number == fold
        scaled = GeneScaling.of(self.values[~out]).apply(self.values)
        return out, scaled, None if self.survival is None else self.survival[~out]


@dataclass(frozen=True, eq=False)
class Trial:
    """How so many programmes do on patients that they were not learned from."""

    number: int
    weight: float
    likelihood: Wide
    """Mean log likelihood of a value of genes that were not looked at, of each fold."""
    concordance: Wide
    """Harrell's C of each fold; NaN without survival."""
    activities: Wide
    """Of each sample while it was held out, with the programmes of its fold. Shape (samples, programmes)."""
    loadings: tuple[Wide, ...]
    """Of each fold, shape (programmes, genes)."""

    def told(self) -> dict[str, float]:
        """Means over folds, for the card."""
        means = {"likelihood": self.likelihood, "concordance": self.concordance}
        known = {name: float(np.nanmean(one)) for name, one in means.items() if np.isfinite(one).any()}
        return {"number": self.number, "weight": self.weight, **known}


def draw_folds(patients: Sequence[str], survival: Survival | None, count: int, seed: int) -> Numbers:
    """The fold of each sample; whole patients, those with an event shared out evenly."""
    owners = np.asarray(patients, dtype=str)
    happened = owners[:0] if survival is None else owners[survival.event > 0]
    return deal_folds(patients, count, seed, np.isin(owners, happened))


def attempt(folds: Folds, number: int, weight: float, seed: int) -> Trial:
    """Learn so many programmes without each fold in turn, and look at the fold."""
    count = int(folds.number.max()) + 1
    activities = np.zeros((len(folds.values), number))
    likelihood, concordance, loadings = np.zeros(count), np.full(count, np.nan), []
    for fold in range(count):
        out, x, survival = folds.split(fold)
        found = factorise(x[~out], number, seed=seed, survival=survival, weight=weight)
        loadings.append(found.loadings)
        activities[out] = project(x[out], found.loadings)
        likelihood[fold] = _likelihood(x[out], found, x[~out], seed)
        if folds.survival is not None and survival is not None:
            told = risks(project(x[~out], found.loadings), survival, activities[out])
            concordance[fold] = _concordance(folds.survival[out], told)
    return Trial(number, weight, likelihood, concordance, activities, tuple(loadings))


def risks(known: Wide, survival: Survival, asked: Wide) -> Wide:
    """Log risks of new samples by their activities, and those of samples whose survival is known."""
    mean, spread = known.mean(0), known.std(0) + _TINY
    coefficients = ridge_cox((known - mean) / spread, survival, PENALTY)
    return np.asarray(((asked - mean) / spread) @ coefficients, dtype=np.float64)


def steadiness(runs: Sequence[Factors]) -> tuple[Factors, Wide]:
    """The run that explains most, and how alike each of its programmes is to those of the other runs."""
    best = min(runs, key=lambda run: run.loss)
    alike = [matched(best.loadings, run.loadings)[1] for run in runs if run is not best]
    return best, np.mean(alike, axis=0) if alike else np.ones(len(best.loadings))


def choose_number(trials: Sequence[Trial], stability: Sequence[float]) -> int:
    """Which trial: of the stable ones that of the best mean rank by likelihood and C, the first of equals."""
    able = [place for place, value in enumerate(stability) if value >= STABLE]
    able = able or [int(np.argmax(stability))]
    told = [[trials[place].told().get(name, 0.0) for place in able] for name in ("likelihood", "concordance")]
    ranks = sum(np.unique(one, return_inverse=True)[1] for one in np.array(told))
    return able[int(np.argmax(ranks))]


def choose_weight(trials: Sequence[Trial]) -> Trial:
    """The first trial whose C is within one standard error of the best."""
    means = [trial.told().get("concordance", 0.0) for trial in trials]
    best = trials[int(np.argmax(means))].concordance
    error = float(np.nanstd(best) / np.sqrt(max(len(best) - 1, 1)))
    return next(trial for trial, mean in zip(trials, means, strict=True) if mean >= max(means) - error)


def _likelihood(x: Wide, found: Factors, learned: Wide, seed: int) -> float:
    """Of half the genes of new samples, given the other half; a variance a gene, from the training."""
    half = np.random.default_rng(seed).random(x.shape[1]) < 0.5
    told = np.zeros_like(x)
    for seen in (half, ~half):
        told[:, ~seen] = project(x[:, seen], found.loadings[:, seen]) @ found.loadings[:, ~seen]
    variance = ((learned - found.activities @ found.loadings) ** 2).mean(0) + 1e-3
    return float(-0.5 * (np.log(2 * np.pi * variance) + (x - told) ** 2 / variance).mean())


def _concordance(survival: Survival, risk: Wide) -> float:
    from lifelines.utils import concordance_index

    known = survival.known
    try:
        return float(concordance_index(survival.time[known], -risk[known], survival.event[known]))
    except ZeroDivisionError:  # no pair of patients can be compared
        return float("nan")
