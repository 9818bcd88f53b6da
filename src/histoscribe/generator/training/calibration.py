"""After training: spread, texture and references that make generated samples vary as real ones do."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.generator.metgen import PURITY_KNOTS, REFERENCE_AXES, MetGen
from histoscribe.generator.parents import mix
from histoscribe.generator.training.batches import MixingSamples, draw_parents
from histoscribe.models.standard import Standard

_SAMPLES = 2048
_GAIN = (0.7, 1.5)


def calibrate(
    model: MetGen,
    standard: Standard,
    samples: MixingSamples,
    profiles: NDArray[np.float32],
    random: np.random.Generator,
) -> None:
    """Give generated codes the spread, and generated profiles the residuals, of real metastases.

    Codes are centred on the real ones; what a parent has of its own, beyond the mixture of mean parents, is
    scaled in each component (0.7 to 1.5) towards the real variance; the covariance that is still lacking
    becomes noise.

    Parameters
    ----------
    profiles : ndarray of float32, shape (metastases, genes)
        Real ones, standardised.
    """
    rows = random.integers(len(samples.pairs), size=_SAMPLES)
    pairs, purity = samples.pairs[rows], samples.purity[rows]
    primary, normal = draw_parents(samples, pairs, random)
    mixed = standard.apply(mix(samples.primaries[primary], samples.normals[normal], purity))
    with torch.inference_mode():
        share = torch.from_numpy(purity)
        codes = model.mixed_codes(
            torch.from_numpy(standard.apply(samples.primaries[primary])),
            torch.from_numpy(standard.apply(samples.normals[normal])), share,
        ).numpy()  # fmt: skip
        typical = model.mixer(model.primary_code[pairs[:, 0]], model.normal_code[pairs[:, 1]], share).numpy()
        decoded = model.met.decode(torch.from_numpy(model.encode(mixed))).numpy()
        real_decoded = model.met.decode(torch.from_numpy(samples.codes)).numpy()
    model.mixer.shift.add_(torch.from_numpy(samples.codes.mean(0) - codes.mean(0)))
    real, own = _within(samples.codes, samples.pairs), codes - typical
    lacking = real.var(0) - _within(typical, pairs).var(0)
    gain = np.sqrt(np.maximum(lacking, 0) / np.maximum(_within(own, pairs).var(0), 1e-6))
    model.gain.copy_(torch.from_numpy(np.clip(gain, *_GAIN).astype(np.float32)))
    made = _within(typical + model.gain.numpy() * own, pairs)
    strengths, axes = np.linalg.eigh(np.cov(real.T) - np.cov(made.T))
    noise = (axes * np.sqrt(np.maximum(strengths, 0))).T
    model.spread.copy_(torch.from_numpy(noise.astype(np.float32)))
    model.texture.fit(profiles - real_decoded, mixed - decoded)


def class_means(values: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean profile of each class, shape (classes, genes); every class up to the last one has a row."""
    return np.stack([values[classes == one].mean(0) for one in range(int(classes.max()) + 1)])


def set_references(model: MetGen, standard: Standard, samples: MixingSamples) -> None:
    """Mean primaries, and normal tissues as a mean with its main directions: no patient's own profile."""
    model.primary_mean.copy_(torch.from_numpy(class_means(samples.primaries, samples.primary_classes)))
    for site in range(len(model.normal_mean)):
        values = torch.from_numpy(samples.normals[samples.normal_classes == site])
        model.normal_mean[site] = values.mean(0)
        _, strengths, axes = torch.linalg.svd(values - values.mean(0), full_matrices=False)
        kept = min(REFERENCE_AXES, max(len(values) // 4, 1))
        model.normal_axes[site, :kept] = (axes[:kept].T * strengths[:kept]).T / (len(values) - 1) ** 0.5
    for role, (means, codes) in enumerate(
        ((model.primary_mean, model.primary_code), (model.normal_mean, model.normal_code))
    ):
        codes.copy_(model.source(torch.from_numpy(standard.apply(means.numpy())), role))
    knots = np.quantile(samples.purity, np.linspace(0, 1, PURITY_KNOTS))
    model.purity.copy_(torch.from_numpy(knots.astype(np.float32)))


def _within(codes: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Codes less the mean of their cancer and site."""
    _, which = np.unique(pairs[:, 0] * 1000 + pairs[:, 1], return_inverse=True)
    count = np.bincount(which)[:, None]
    means = np.zeros((len(count), codes.shape[1]), dtype=np.float64)
    np.add.at(means, which, codes)
    return np.asarray(codes - (means / count)[which], dtype=np.float32)
