"""Choosing by patients held out: how tiles are pooled, whether the prior helps, and how long is learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.errors import SettingError
from histoscribe.features.device import resolve_device
from histoscribe.labeller.bags import inputs_of
from histoscribe.labeller.calibration import calibrate, held_out
from histoscribe.labeller.fitting import Attempt, Plan, share_out, try_out
from histoscribe.labeller.labels import Label, columns_of
from histoscribe.labeller.network import Pooling, SlideNetwork
from histoscribe.labeller.prior import Prior, prior_named
from histoscribe.models.reproducible import seeded
from histoscribe.predictor.inputs import Scale
from histoscribe.progress import Progress


@dataclass(frozen=True, eq=False)
class Choice:
    """What came out best, and what it is worth."""

    pooling: Pooling
    networks: list[SlideNetwork]
    calibration: tuple[Wide, ...]
    scores: dict[str, dict[str, Any]]
    """Of each label: see `calibration.held_out`; `mean_pooling` is what the mean tile alone reaches."""
    about: dict[str, Any]
    """The plan, its steps, and the loss of all plans."""


def choose(
    features: Sequence[Floats],
    scale: Scale,
    labels: Sequence[Label],
    patients: Sequence[str],
    prior: str | Wide | None,
    *,
    pooling: str,
    steps: int,
    seed: int,
    device: str,
    progress: Progress,
) -> Choice:
    """Try every plan on the same folds of patients, and keep the networks of the best.

    `scale`: of all training tiles. What a label is scored by is told by networks that have not seen the
    patient, and by the plan and length that are best on the other folds. Their mean answers new slides.
    """
    fold = share_out(labels, patients, seed)
    where, graph = str(resolve_device(device)), _prior(prior, labels)
    asked: list[Pooling] = ["mean", "attention"] if pooling == "auto" else [pooling]  # type: ignore[list-item]
    plans = [Plan(one, used) for one in asked for used in ((False, True) if graph else (False,))]
    plain = Plan("mean")
    trials: dict[Plan, Attempt] = {}
    for plan in dict.fromkeys([plain, *plans]):
        trials[plan] = try_out(
            plan,
            [torch.from_numpy(inputs_of(one, plan.pooling, scale)) for one in features],
            labels,
            fold,
            graph,
            steps=steps,
            seed=seed,
            device=where,
            progress=progress,
        )
    answers, baseline = (_honest([trials[one] for one in some], fold) for some in (plans, [plain]))
    chosen, stage = _best([trials[one] for one in plans])
    trial = trials[plans[chosen]]
    networks = []
    for states in trial.states:
        with seeded(seed):  # it draws its first weights, which are replaced
            network = SlideNetwork(features[0].shape[1], trial.plan.pooling, states[stage]["smoothing"])
        network.load_state_dict(states[stage])
        networks.append(network.eval())
    calibration, scores = [], {}
    for label, own in zip(labels, columns_of(labels), strict=True):
        calibration.append(calibrate(trial.answers[stage][:, own], label))
        found = held_out(answers[:, own], label, fold, list(patients), seed)
        plainly = held_out(baseline[:, own], label, fold, list(patients), seed)
        scores[label.name] = {**found, "mean_pooling": plainly["auc" if label.classes else "r"]}
    losses = {str(one): round(float(tried.losses.mean(1).min()), 4) for one, tried in trials.items()}
    about = {"prior": trial.plan.prior, "stage": stage + 1, "losses": losses}
    return Choice(trial.plan.pooling, networks, tuple(calibration), scores, about)


def _prior(prior: str | Wide | None, labels: Sequence[Label]) -> Prior | None:
    if prior is None or isinstance(prior, str):
        return None if prior is None else prior_named(prior, labels)
    graph = np.asarray(prior, dtype=np.float64)
    if graph.shape != (len(labels),) * 2 or not np.isfinite(graph).all() or np.abs(graph).max() > 1:
        problem = f"a prior of shape {graph.shape} does not weigh {len(labels)} labels from -1 to 1"
        raise SettingError(problem, remedy="give a row and a column each label")
    graph = (graph + graph.T) / 2
    np.fill_diagonal(graph, 0)
    return lambda rows: graph


def _best(trials: Sequence[Attempt], left_out: int | None = None) -> tuple[int, int]:
    """Which trial and which stage have the least loss over folds, one of them left out."""
    losses = np.stack([trial.losses for trial in trials])
    kept = np.arange(losses.shape[2]) != left_out
    plan, stage = np.unravel_index(losses[:, :, kept].mean(2).argmin(), losses.shape[:2])
    return int(plan), int(stage)


def _honest(trials: Sequence[Attempt], fold: Numbers) -> Wide:
    """Answers on each fold by what is best on the others, shape (slides, outputs)."""
    answers: Wide = np.empty_like(trials[0].answers[0])
    for place, one in enumerate(np.unique(fold)):
        plan, stage = _best(trials, place)
        answers[fold == one] = trials[plan].answers[stage][fold == one]
    return answers
