"""How like real metastases generated ones are.

All arrays are log2 abundances, shape (samples, genes), float32. Spaces and classifiers are learned from real
training metastases; generated ones are compared with real ones of patients that no method has seen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoscribe.arrays import Floats
from histoscribe.generator.metgen import learn_standard
from histoscribe.models.standard import Standard

_NEIGHBOURS = 5
_COMPONENTS = 50


@dataclass(frozen=True, eq=False)
class Space:
    """Principal components of real training metastases, standardised genes."""

    standard: Standard
    axes: Floats
    """Shape (genes, components)."""

    def place(self, values: Floats) -> Floats:
        """Coordinates, shape (samples, components)."""
        return np.asarray(self.standard.apply(values) @ self.axes, dtype=np.float32)


def learn_space(values: Floats, components: int = _COMPONENTS) -> Space:
    """Learn the feature space from real training metastases."""
    standard = learn_standard(values, ())
    units = standard.apply(values)
    strengths, vectors = np.linalg.eigh((units @ units.T).astype(np.float64))
    order = np.argsort(-strengths)[: min(components, len(values) - 1)]
    axes = units.T @ vectors[:, order] / np.sqrt(np.maximum(strengths[order], 1e-9))
    return Space(standard, axes.astype(np.float32))


def variance_ratio(generated: Floats, real: Floats) -> float:
    """Median over genes of generated over real variance; 1 is right."""
    return float(np.median(generated.var(0) / np.maximum(real.var(0), 1e-6)))


def correlation_agreement(generated: Floats, real: Floats, genes: int = 400) -> float:
    """Pearson r between the gene–gene correlations of both, over the most variable genes of the real ones."""
    chosen = np.argsort(-real.var(0))[:genes]
    above = np.triu_indices(len(chosen), 1)
    with np.errstate(all="ignore"):
        both = [np.asarray(np.nan_to_num(np.corrcoef(one[:, chosen].T)))[above] for one in (generated, real)]
    return correlation(*both)


def two_sample_auc(
    generated: tuple[Floats, Floats], real: tuple[Floats, Floats], space: Space, *, seed: int = 0
) -> float:
    """How well a classifier tells generated from real on patients that it has not seen; .5 is not at all.

    The better of a logistic regression on principal components and a forest on genes. `generated` and `real`:
    of the training patients, which the classifiers learn from, and of held-out ones.
    """
    random = np.random.default_rng(seed)
    parts, labels = [], []
    for which in (0, 1):
        count = min(len(generated[which]), len(real[which]))
        pair = [one[which][random.permutation(len(one[which]))[:count]] for one in (generated, real)]
        parts.append(np.concatenate(pair))
        labels.append(np.repeat([1, 0], count))
    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    forest = RandomForestClassifier(100, max_features=60, min_samples_leaf=3, random_state=seed)
    aucs = []
    for model, values in ((line, [space.place(one) for one in parts]), (forest, parts)):
        guess = model.fit(values[0], labels[0]).predict_proba(values[1])[:, 1]
        aucs.append(float(roc_auc_score(labels[1], guess)))
    return max(aucs)


def precision_recall(generated: Floats, real: Floats, space: Space) -> tuple[float, float]:
    """Share of generated samples within the real ones' reach, and the reverse.

    Reach is the distance to the fifth neighbour (Kynkäänniemi et al., 2019) in the feature space.
    """
    one, other = space.place(generated), space.place(real)
    return _within_reach(one, other), _within_reach(other, one)


def nearest_ratio(generated: Floats, training: Floats, control: Floats, space: Space) -> float:
    """Median distance to the nearest training metastasis over that of held-out real ones.

    Well below 1 means that training samples were memorised.
    """
    near = [np.median(_nearest(space.place(one), space.place(training))) for one in (generated, control)]
    return float(near[0] / near[1])


def closer_than_control(generated: Floats, training: Floats, control: Floats, space: Space) -> float:
    """Share of generated samples nearer to training than 95 % of held-out real ones are; .05 is expected."""
    base = _nearest(space.place(control), space.place(training))
    return float((_nearest(space.place(generated), space.place(training)) < np.quantile(base, 0.05)).mean())


def discrepancy(generated: Floats, real: Floats, space: Space) -> float:
    """Squared maximum mean discrepancy in the feature space, Gaussian kernel at the real median distance."""
    one, other = space.place(generated), space.place(real)
    middle = np.median(_squared(other, other))

    def kernel(left: Floats, right: Floats) -> float:
        return float(np.exp(-_squared(left, right) / middle).mean())

    return kernel(one, one) - 2 * kernel(one, other) + kernel(other, other)


def correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Pearson r; 0 where one of the two does not vary."""
    one, other = one - one.mean(), other - other.mean()
    power = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / power if power > 0 else 0.0


def _squared(one: Floats, other: Floats) -> Floats:
    return np.asarray(cdist(one, other, "sqeuclidean"), dtype=np.float32)


def _nearest(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.sqrt(_squared(one, other).min(1)), dtype=np.float32)


def _within_reach(points: Floats, reference: Floats) -> float:
    among = np.sort(_squared(reference, reference), axis=1)
    reach = among[:, min(_NEIGHBOURS, among.shape[1] - 1)]
    return float((_squared(points, reference) <= reach[None]).any(1).mean())
