"""What every method generates on a semi-synthetic bed, beside real metastases of unseen patients."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import nn

from histoscribe.arrays import Floats
from histoscribe.benchmark.generator import measures
from histoscribe.benchmark.generator.bed import Profiles, Request, Sampler, Seed
from histoscribe.benchmark.methods import REFERENCE, Method
from histoscribe.benchmark.training import descend
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.metgen import learn_standard
from histoscribe.models.reproducible import seeded
from histoscribe.simulate.metastases import Bed

JOINT = "mean of cancer accuracy, site accuracy, 1 - 2 |two-sample AUC - .5| and variance correlation"
REAL = "real"
"""Metastases of the parents' own patients: what a perfect generator would reach."""

Recogniser = Callable[[Floats], NDArray[np.str_]]

_HIDDEN, _BATCH = 128, 128
_SUBTYPE_COMPONENTS = 10


def learn_classes(
    values: Floats, labels: NDArray[np.str_], *, steps: int = 400, seed: int = 0
) -> Callable[[Floats], NDArray[np.str_]]:
    """What tells the likeliest label of profiles, learned from some (samples, genes) and a label each.

    One hidden layer on standardised genes, trained with dropout: it recognises cancer, site and subtype.
    """
    classes, places = np.unique(labels, return_inverse=True)
    standard, wanted = learn_standard(values, ()), torch.from_numpy(places.astype(np.int64))
    random = np.random.default_rng(seed)

    def logits(some: Floats) -> torch.Tensor:
        found: torch.Tensor = network(torch.from_numpy(standard.apply(some)))
        return found

    def loss(step: int) -> torch.Tensor:
        rows = random.integers(len(values), size=min(_BATCH, len(values)))
        return nn.functional.cross_entropy(logits(values[rows]), wanted[rows])

    with seeded(seed):
        read, tell = nn.Linear(values.shape[1], _HIDDEN), nn.Linear(_HIDDEN, len(classes))
        network = nn.Sequential(nn.Dropout(0.2), read, nn.ReLU(), nn.Dropout(0.4), tell)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
        descend(optimiser, loss, steps, falling=True)
    network.eval()
    return torch.inference_mode()(lambda some: np.asarray(classes[logits(some).argmax(1).numpy()]))


@dataclass(frozen=True, eq=False)
class Judge:
    """What recognises metastases of a bed, learned from its training part."""

    bed: Bed
    train: Cohort
    test: Cohort
    """`train` and `test`: real metastases."""
    space: measures.Space
    cancer: Recogniser
    site: Recogniser
    subtypes: dict[str, str]
    """By the primary's name."""
    subtype_real: float
    """Accuracy on real held-out metastases of a classifier that learned from real ones."""

    @property
    def real(self) -> tuple[Profiles, Profiles]:
        """Every other training metastasis, and those of the parents' own patients."""
        own = self.bed.parents.take(self.bed.parents.of("metastasis"))
        half = self.train.take(np.arange(0, len(self.train), 2))
        first, second = (Profiles(part.values, _primaries(part, self.bed)) for part in (half, own))
        return first, second

    def subtype_accuracy(self, generated: Profiles) -> float:
        """Accuracy on real held-out metastases of a classifier that learned from generated ones."""
        assert generated.primaries is not None
        named = (generated.primaries, _primaries(self.test, self.bed))
        taught, truth = (np.array([self.subtypes[str(one)] for one in names]) for names in named)
        told = learn_classes(generated.values, taught, seed=self.bed.seed)(self.test.values)
        return float((told == truth).mean())


@lru_cache(maxsize=1)
def judge_of(seed: Seed) -> Judge:
    """Classifiers, subtypes and the space of components, learned from the training part once a seed."""
    bed = seed.bed
    seed.progress.report(f"seed {bed.seed}: training the classifiers")
    train, test = (part.take(part.of("metastasis")) for part in (bed.train, bed.test))
    space = measures.learn_space(train.values)
    cancer, site = (learn_classes(train.values, of, seed=bed.seed) for of in (train.cancers, train.sites))
    own = subtypes_of(bed.train, [bed.parents, bed.test], seed=bed.seed)
    judge = Judge(bed, train, test, space, cancer, site, own, 0.0)
    real = Profiles(train.values, _primaries(train, bed))
    return replace(judge, subtype_real=judge.subtype_accuracy(real))


def subtypes_of(train: Cohort, others: Sequence[Cohort], *, seed: int = 0) -> dict[str, str]:
    """Two subtypes of each cancer, by the primary's name.

    k-means on the ten main components of a cancer's training primaries; primaries of other cohorts get the
    nearer centre.
    """
    found: dict[str, str] = {}
    for cancer in np.unique(train.cancers[train.of("primary")]):
        rows = train.of("primary", cancer=str(cancer))
        space = measures.learn_space(train.values[rows], _SUBTYPE_COMPONENTS)
        model = KMeans(2, n_init=10, random_state=seed).fit(space.place(train.values[rows]))
        for cohort in (train, *others):
            some = cohort.of("primary", cancer=str(cancer))
            which = model.predict(space.place(cohort.values[some]))
            names = cohort.names[some].tolist()
            found.update({name: f"{cancer}-{one}" for name, one in zip(names, which, strict=True)})
    return found


def score_semisynthetic(seed: Seed, method: Method) -> dict[str, float]:
    """Every measure of one method.

    A method learns from the seed's training part and returns a sampler; `fit_seconds` and `sample_seconds`
    are of this machine.
    """
    judge, bed = judge_of(seed), seed.bed
    if method.name == REAL:
        return _measured(judge, *method.learn(seed), real=True)
    start = time.perf_counter()
    sampler: Sampler = method.learn(seed)
    fitted = time.perf_counter()
    training = sampler(Request(bed.train, judge.train.cancers, judge.train.sites, bed.seed + 1))
    held_out = sampler(Request(bed.parents, judge.test.cancers, judge.test.sites, bed.seed + 2))
    seconds = {"fit_seconds": fitted - start, "sample_seconds": time.perf_counter() - fitted}
    if method.name.startswith(REFERENCE):
        del seconds["fit_seconds"]  # trained once for all beds
    return {**_measured(judge, training, held_out), **seconds}


def _measured(
    judge: Judge, training: Profiles, held_out: Profiles, *, real: bool = False
) -> dict[str, float]:
    """`training` was generated from training parents, `held_out` from held-out ones."""
    values, truth, space, parents = held_out.values, judge.test.values, judge.space, judge.bed.parents
    like = parents.take(parents.of("metastasis")) if real else judge.test
    against = judge.train.values[1::2] if real else judge.train.values
    auc = measures.two_sample_auc((training.values, values), (against, truth), space, seed=judge.bed.seed)
    precision, recall = measures.precision_recall(values, truth, space)
    found = {
        "cancer_accuracy": float((judge.cancer(values) == like.cancers).mean()),
        "site_accuracy": float((judge.site(values) == like.sites).mean()),
        "two_sample_auc": auc,
        "mean_correlation": measures.correlation(values.mean(0), truth.mean(0)),
        "variance_correlation": measures.correlation(values.std(0), truth.std(0)),
        "variance_ratio": measures.variance_ratio(values, truth),
        "gene_gene_agreement": measures.correlation_agreement(values, truth),
        "precision": precision,
        "recall": recall,
        "nearest_ratio": measures.nearest_ratio(values, judge.train.values, truth, space),
        "closer_than_control": measures.closer_than_control(values, judge.train.values, truth, space),
        "mmd": measures.discrepancy(values, truth, space),
        "subtype_real": judge.subtype_real,
    }
    alike = [found[name] for name in ("cancer_accuracy", "site_accuracy", "variance_correlation")]
    found["joint"] = float(np.mean([*alike[:2], 1 - 2 * abs(auc - 0.5), alike[2]]))
    if training.primaries is not None:
        found["subtype_generated"] = judge.subtype_accuracy(training)
        found["subtype_power"] = found["subtype_generated"] / judge.subtype_real
    return found


def _primaries(metastases: Cohort, bed: Bed) -> NDArray[np.str_]:
    return np.array([bed.primary_of[str(name)] for name in metastases.names], dtype=str)
