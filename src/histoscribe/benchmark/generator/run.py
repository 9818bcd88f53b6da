"""Every method on one bed, one seed: what it generates, beside real metastases of unseen patients."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.generator import measures
from histoscribe.benchmark.generator.classifiers import DenseClassifier
from histoscribe.benchmark.generator.methods import (
    baseline,
    generator_sampler,
)
from histoscribe.benchmark.generator.sampling import Asked, Made, Sampler
from histoscribe.benchmark.generator.subtypes import labelled, subtypes_of
from histoscribe.generator import Generator
from histoscribe.generator.cohort import Cohort
from histoscribe.progress import Progress

JOINT = "mean of cancer accuracy, site accuracy, 1 - 2 |two-sample AUC - .5| and variance correlation"


@dataclass(frozen=True, eq=False)
class Trial:
    """A bed as the benchmark needs it; the three cohorts have no patient in common.

    Parameters
    ----------
    train, parents, test : Cohort
        To learn from, to generate from, to compare with.
    primary_of : dict of str to str
        The primary of each metastasis, by name.
    seed : int
    """

    train: Cohort
    parents: Cohort
    test: Cohort
    primary_of: dict[str, str]
    seed: int


@dataclass(frozen=True, eq=False)
class _Judge:
    trial: Trial
    train: Cohort
    test: Cohort
    space: measures.Space
    cancer: DenseClassifier
    site: DenseClassifier
    subtypes: dict[str, str]
    subtype_real: float


def score_trial(
    trial: Trial, generator: Generator | None, methods: Sequence[str], *, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Score the methods on one bed.

    Parameters
    ----------
    trial : Trial
    generator : Generator or None
        Trained on the trial's training part; None where no method needs it.
    methods : sequence of str
        Names from `chosen_methods`.
    progress : Progress, optional

    Returns
    -------
    list of dict
        `method`, `measure`, `value`. The method `real` is metastases of the parents' own patients: what a
        perfect generator would reach. `fit_seconds` and `sample_seconds` are of this machine.
    """
    progress = progress or Progress()
    judge = _judge(trial, progress)
    records = _score("real", judge, *_real(judge))
    for name in methods:
        progress.report(f"seed {trial.seed}: {name}")
        start = time.perf_counter()
        if name.startswith("histoscribe"):
            assert generator is not None
            sampler: Sampler = generator_sampler(generator, references=name.endswith("references"))
        else:
            sampler = baseline(name)(trial.train, trial.seed)
        fitted = time.perf_counter()
        made = (_ask(sampler, trial.train, judge.train, trial.seed + 1),
                _ask(sampler, trial.parents, judge.test, trial.seed + 2))  # fmt: skip
        done = time.perf_counter()
        records += _score(name, judge, *made)
        seconds = {"fit_seconds": fitted - start, "sample_seconds": done - fitted}
        if name.startswith("histoscribe"):
            del seconds["fit_seconds"]
        records += [{"method": name, "measure": key, "value": value} for key, value in seconds.items()]
    return records


def _judge(trial: Trial, progress: Progress) -> _Judge:
    progress.report(f"seed {trial.seed}: training the classifiers")
    train, test = (part.take(part.of("metastasis")) for part in (trial.train, trial.test))
    subtypes = subtypes_of(trial.train, [trial.parents, trial.test], seed=trial.seed)
    real = labelled(_primaries(train, trial), subtypes)
    truth = labelled(_primaries(test, trial), subtypes)
    guess = DenseClassifier(seed=trial.seed).fit(train.values, real).predict(test.values)
    return _Judge(
        trial, train, test, measures.learn_space(train.values),
        DenseClassifier(seed=trial.seed).fit(train.values, train.cancers),
        DenseClassifier(seed=trial.seed).fit(train.values, train.sites),
        subtypes, float((guess == truth).mean()),
    )  # fmt: skip


def _real(judge: _Judge) -> tuple[Made, Made]:
    parents = judge.trial.parents
    own = parents.take(parents.of("metastasis"))
    half = judge.train.take(np.arange(0, len(judge.train), 2))
    return Made(half.values, _primaries(half, judge.trial)), Made(own.values, _primaries(own, judge.trial))


def _ask(sampler: Sampler, parents: Cohort, like: Cohort, seed: int) -> Made:
    return sampler(Asked(parents, like.cancers, like.sites, seed))


def _score(name: str, judge: _Judge, training: Made, held_out: Made) -> list[dict[str, Any]]:
    """Measures of one method: `training` generated from training parents, `held_out` from held-out ones."""
    values, real, space = held_out.values, judge.test.values, judge.space
    against = judge.train.values
    if name == "real":
        parents = judge.trial.parents
        like = parents.take(parents.of("metastasis"))
        against = against[1::2]
    else:
        like = judge.test
    auc = measures.two_sample_auc((training.values, values), (against, real), space, seed=judge.trial.seed)
    precision, recall = measures.precision_recall(values, real, space)
    found = {
        "cancer_accuracy": float((judge.cancer.predict(values) == like.cancers).mean()),
        "site_accuracy": float((judge.site.predict(values) == like.sites).mean()),
        "two_sample_auc": auc,
        "mean_correlation": measures.mean_correlation(values, real),
        "variance_correlation": measures.variance_correlation(values, real),
        "variance_ratio": measures.variance_ratio(values, real),
        "gene_gene_agreement": measures.correlation_agreement(values, real),
        "precision": precision,
        "recall": recall,
        "nearest_ratio": measures.nearest_ratio(values, judge.train.values, real, space),
        "closer_than_control": measures.closer_than_control(values, judge.train.values, real, space),
        "mmd": measures.discrepancy(values, real, space),
        "subtype_real": judge.subtype_real,
    }
    found["joint"] = float(
        np.mean(
            [
                found["cancer_accuracy"], found["site_accuracy"], 1 - 2 * abs(auc - 0.5),
                found["variance_correlation"],
            ]
        )
    )  # fmt: skip
    if training.primaries is not None:
        found["subtype_generated"] = _subtype_score(judge, training)
        found["subtype_power"] = found["subtype_generated"] / judge.subtype_real
    return [{"method": name, "measure": key, "value": value} for key, value in found.items()]


def _subtype_score(judge: _Judge, training: Made) -> float:
    """Accuracy on real held-out metastases of a classifier that learned from generated ones."""
    assert training.primaries is not None
    learned = labelled(training.primaries, judge.subtypes)
    truth = labelled(_primaries(judge.test, judge.trial), judge.subtypes)
    model = DenseClassifier(seed=judge.trial.seed).fit(training.values, learned)
    return float((model.predict(judge.test.values) == truth).mean())


def _primaries(metastases: Cohort, trial: Trial) -> NDArray[np.str_]:
    return np.array([trial.primary_of[str(name)] for name in metastases.names], dtype=str)
