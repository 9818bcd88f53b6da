"""From a network's answers to probabilities and intervals that hold on patients it has not seen; scores."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import rankdata

from histoscribe.arrays import Numbers, Wide
from histoscribe.labeller.labels import Label

_RIDGE, _COVER, _DRAWS = 0.05, 0.9, 300


def calibrate(answers: Wide, label: Label) -> Wide:
    """What turns answers, shape (slides, outputs), into chances: see `tell`.

    Of classes a temperature and an offset each, by penalised likelihood; of a number a slope, an offset and
    the half width that covers 90 % of what was held out.
    """
    known = np.isfinite(label.values)
    answers, values = answers[known], label.values[known]
    if not label.classes:
        own = answers[:, 0] - answers[:, 0].mean()
        slope = float(np.clip(own @ values / max(own @ own, 1e-9), 0, 3))
        offset = float(values.mean() - slope * answers[:, 0].mean())
        missed = np.abs(values - slope * answers[:, 0] - offset)
        return np.array([slope, offset, np.quantile(missed, min(1, _COVER * (1 + 1 / len(missed))))])
    codes, rows = values.astype(np.int64), np.arange(len(values))

    def loss(free: Wide) -> float:
        chances = tell(answers, label, np.append(free, 0))
        penalty = _RIDGE * float(free @ free) / len(values) * len(label.classes)
        return penalty - float(np.log(np.maximum(chances[rows, codes], 1e-9)).mean())

    start = np.zeros(len(label.classes))
    return np.append(
        minimize(loss, start, method="L-BFGS-B", bounds=[(-4, 3), *[(-6, 6)] * (len(start) - 1)]).x, 0
    )


def tell(answers: Wide, label: Label, how: Wide) -> Wide:
    """Probability of each class (slides, classes); of a number its value, low and high end (slides, 3)."""
    if not label.classes:
        middle = how[0] * answers[:, 0] + how[1]
        units = np.column_stack([middle, middle - how[2], middle + how[2]])
        return np.asarray(units * label.sd + label.mean, dtype=np.float64)
    logits = np.column_stack([-answers[:, 0], answers[:, 0]]) / 2 if answers.shape[1] == 1 else answers
    logits = logits * np.exp(how[0]) + how[1:]
    return np.asarray(softmax(logits, axis=1), dtype=np.float64)


def held_out(answers: Wide, label: Label, fold: Numbers, patients: list[str], seed: int) -> dict[str, Any]:
    """How well held-out answers tell a label, each fold calibrated by the others, patients resampled.

    `auc` (of more than two classes the mean of each against all others), `brier`; of numbers `r`; with the
    ends `low` and `high` of a 95 % interval and the value by `chance`.
    """
    known = np.isfinite(label.values)
    told = np.zeros((len(answers), max(len(label.classes), 3 * (not label.classes))))
    for one in np.unique(fold):
        others = replace(label, values=np.where(fold == one, np.nan, label.values))
        told[fold == one] = tell(answers[fold == one], label, calibrate(answers, others))
    truth, told = label.values[known], told[known]
    owner = np.unique(np.asarray(patients)[known], return_inverse=True)[1]
    count, random, drawn = owner.max() + 1, np.random.default_rng(seed), []
    for _ in range(_DRAWS):
        times = np.bincount(random.integers(0, count, count), minlength=count)[owner]
        rows = np.repeat(np.arange(len(owner)), times)
        drawn.append(_score(told[rows], truth[rows], label))
    low, high = np.nanquantile(drawn, (0.025, 0.975)) if np.isfinite(drawn).any() else (np.nan, np.nan)
    found = {"low": low, "high": high, "chance": 0.5 if label.classes else 0.0, "patients": int(count)}
    found["auc" if label.classes else "r"] = _score(told, truth, label)
    if label.classes:
        found["brier"] = float(((told - np.eye(told.shape[1])[truth.astype(int)]) ** 2).sum(1).mean())
    return {name: round(float(value), 4) if np.isfinite(value) else 0.0 for name, value in found.items()}


def _score(told: Wide, truth: Wide, label: Label) -> float:
    """Area under the curve, or Pearson's r; not a number where it is not defined."""
    if not label.classes:
        flat = told[:, 0].std() < 1e-12 or truth.std() < 1e-12
        return 0.0 if flat else float(np.corrcoef(told[:, 0], truth)[0, 1])
    areas = []
    for one in range(1 if len(label.classes) == 2 else 0, len(label.classes)):
        own = truth == one
        yes, no = own.sum(), (~own).sum()
        if yes and no:
            areas.append((rankdata(told[:, one])[own].sum() - yes * (yes + 1) / 2) / (yes * no))
    return float(np.mean(areas)) if areas else float("nan")
