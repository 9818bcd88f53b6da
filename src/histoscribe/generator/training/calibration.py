"""After training: spread, texture and references that make generated samples vary as real ones do."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.generator.metgen import PURITY_KNOTS, REFERENCE_AXES, MetGen
from histoscribe.generator.mixing import mix
from histoscribe.generator.standard import Standard
from histoscribe.generator.training.plan import Lessons, draw_parents

_SAMPLES = 2048
_CHUNK = 512
_GAIN = (0.7, 1.5)


def calibrate(
    model: MetGen,
    standard: Standard,
    lessons: Lessons,
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
    rows = random.integers(len(lessons.pairs), size=_SAMPLES)
    pairs, purity = lessons.pairs[rows], lessons.purity[rows]
    primary, normal = draw_parents(lessons, pairs, random)
    mixed = standard.scale(mix(lessons.primaries[primary], lessons.normals[normal], purity))
    with torch.inference_mode():
        share = torch.from_numpy(purity)
        codes = model.mixed_codes(
            torch.from_numpy(standard.scale(lessons.primaries[primary])),
            torch.from_numpy(standard.scale(lessons.normals[normal])), share,
        ).numpy()  # fmt: skip
        typical = model.mixer(model.primary_code[pairs[:, 0]], model.normal_code[pairs[:, 1]], share).numpy()
        decoded = model.met.decode(torch.from_numpy(encode(model, mixed))).numpy()
        real_decoded = model.met.decode(torch.from_numpy(lessons.codes)).numpy()
    model.mixer.shift.add_(torch.from_numpy(lessons.codes.mean(0) - codes.mean(0)))
    real, own = _within(lessons.codes, lessons.pairs), codes - typical
    lacking = real.var(0) - _within(typical, pairs).var(0)
    gain = np.sqrt(np.maximum(lacking, 0) / np.maximum(_within(own, pairs).var(0), 1e-6))
    model.gain.copy_(torch.from_numpy(np.clip(gain, *_GAIN).astype(np.float32)))
    made = _within(typical + model.gain.numpy() * own, pairs)
    strengths, axes = np.linalg.eigh(np.cov(real.T) - np.cov(made.T))
    noise = (axes * np.sqrt(np.maximum(strengths, 0))).T
    model.spread.copy_(torch.from_numpy(noise.astype(np.float32)))
    model.texture.fit(profiles - real_decoded, mixed - decoded)


def set_references(model: MetGen, standard: Standard, lessons: Lessons) -> None:
    """Mean primaries, and normal tissues as a mean with its main directions: no patient's own profile."""
    for cancer in range(len(model.primary_mean)):
        rows = lessons.primary_classes == cancer
        model.primary_mean[cancer] = torch.from_numpy(lessons.primaries[rows].mean(0))
    for site in range(len(model.normal_mean)):
        values = torch.from_numpy(lessons.normals[lessons.normal_classes == site])
        model.normal_mean[site] = values.mean(0)
        _, strengths, axes = torch.linalg.svd(values - values.mean(0), full_matrices=False)
        kept = min(REFERENCE_AXES, max(len(values) // 4, 1))
        model.normal_axes[site, :kept] = (axes[:kept].T * strengths[:kept]).T / (len(values) - 1) ** 0.5
    for role, (means, codes) in enumerate(
        ((model.primary_mean, model.primary_code), (model.normal_mean, model.normal_code))
    ):
        codes.copy_(model.source(torch.from_numpy(standard.scale(means.numpy())), role))
    knots = np.quantile(lessons.purity, np.linspace(0, 1, PURITY_KNOTS))
    model.purity.copy_(torch.from_numpy(knots.astype(np.float32)))


def encode(model: MetGen, profiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean codes of standardised metastases, shape (samples, CODE)."""
    with torch.inference_mode():
        parts = [
            model.met.encode(torch.from_numpy(profiles[at : at + _CHUNK]))[0].numpy()
            for at in range(0, len(profiles), _CHUNK)
        ]
    return np.concatenate(parts)


def _within(codes: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Codes less the mean of their cancer and site."""
    _, which = np.unique(pairs[:, 0] * 1000 + pairs[:, 1], return_inverse=True)
    count = np.bincount(which)[:, None]
    means = np.zeros((len(count), codes.shape[1]), dtype=np.float64)
    np.add.at(means, which, codes)
    return np.asarray(codes - (means / count)[which], dtype=np.float32)
