"""From a cohort to a trained model, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.errors import TableError
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.directions import learn_directions
from histoscribe.generator.metgen import PURITY_KNOTS, REFERENCE_AXES, MetGen
from histoscribe.generator.mixing import estimate_purity, mix
from histoscribe.generator.plan import (
    Lessons,
    MetVAEPlan,
    MixingPlan,
    Mixtures,
    Shuffled,
    draw_parents,
    run_stage,
)
from histoscribe.generator.standard import Standard, learn_standard
from histoscribe.progress import Progress

_LEAST = 2
_LEAST_METASTASES = 20
_CALIBRATING = 2048
_CHUNK = 512


@dataclass(frozen=True)
class Settings:
    """What is chosen before training.

    Parameters
    ----------
    met_steps, mixing_steps : int
        Training steps of the MetVAE, and of source encoder and mixer.
    seed : int
    devices : int
        Processes that Lightning trains on.
    """

    met_steps: int = 600
    mixing_steps: int = 500
    seed: int = 0
    devices: int = 1


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model and what its classes are.

    Parameters
    ----------
    model : MetGen
    standard : Standard
    cancers, sites : tuple of str
    used : Cohort
        The samples that were learned from.
    """

    model: MetGen
    standard: Standard
    cancers: tuple[str, ...]
    sites: tuple[str, ...]
    used: Cohort


def usable(cohort: Cohort) -> Cohort:
    """The samples to learn from: metastases whose cancer has primaries and whose site has normal tissue.

    Raises
    ------
    TableError
        If a class has one sample only, or too few metastases are left.
    """
    primaries, normals = cohort.of("primary"), cohort.of("normal")
    cancers, sites = set(cohort.cancers[primaries]), set(cohort.sites[normals])
    met = np.array(
        [
            kind == "metastasis" and cancer in cancers and site in sites
            for kind, cancer, site in zip(cohort.kinds, cohort.cancers, cohort.sites, strict=True)
        ],
        dtype=bool,
    )
    if met.sum() < _LEAST_METASTASES:
        raise TableError(
            f"{int(met.sum())} metastases have primaries of their cancer and normal tissue of their site "
            f"beside them ({len(cohort.of('metastasis'))} metastases, {len(primaries)} primaries, "
            f"{len(normals)} normal tissues were given)",
            remedy=f"give at least {_LEAST_METASTASES} such metastases",
        )
    cancers, sites = set(cohort.cancers[met]), set(cohort.sites[met])
    lone = []
    for kind, column, names in (
        ("primary", cohort.cancers, cancers), ("metastasis", cohort.cancers, cancers),
        ("normal", cohort.sites, sites), ("metastasis", cohort.sites, sites),
    ):  # fmt: skip
        rows = met if kind == "metastasis" else cohort.kinds == kind
        lone += [f"{name} ({kind})" for name in sorted(names) if (column[rows] == name).sum() < _LEAST]
    if lone:
        raise TableError(
            f"classes with one sample only cannot be learned: {', '.join(lone[:5])}",
            remedy="add samples, or leave these out",
        )
    keep = met | ((cohort.kinds == "primary") & np.isin(cohort.cancers, sorted(cancers)))
    return cohort.take(keep | ((cohort.kinds == "normal") & np.isin(cohort.sites, sorted(sites))))


def fit_model(cohort: Cohort, settings: Settings, progress: Progress) -> Fitted:
    """Train on a cohort: MetVAE, then source encoder and mixer, then spread and texture."""
    used = usable(cohort)
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    met, tumours, normals = used.of("metastasis"), used.of("primary"), used.of("normal")
    standard = learn_standard(used.values[met], used.genes)
    cancers = tuple(sorted(set(used.cancers[met].tolist())))
    sites = tuple(sorted(set(used.sites[met].tolist())))
    pairs = np.stack([_codes_of(used.cancers[met], cancers), _codes_of(used.sites[met], sites)], axis=1)
    profiles = standard.scale(used.values[met])
    progress.report("finding the main directions")
    model = MetGen(torch.from_numpy(learn_directions(profiles)), len(cancers), len(sites), len(met))
    steps = settings.met_steps
    run_stage(
        MetVAEPlan(model.met, steps), Shuffled(profiles, pairs, steps, settings.seed), steps=steps,
        devices=settings.devices, label="learning metastases", progress=progress,
    )  # fmt: skip
    model.eval()
    codes = encode(model, profiles)
    primary_classes = _codes_of(used.cancers[tumours], cancers)
    normal_classes = _codes_of(used.sites[normals], sites)
    model.known_codes.copy_(torch.from_numpy(codes))
    model.known_pairs.copy_(torch.from_numpy(pairs))
    purity = _purity(used, met, tumours, normals, pairs, primary_classes, normal_classes)
    lessons = Lessons(
        used.values[tumours], used.values[normals], primary_classes, normal_classes, pairs, codes, purity
    )
    steps = settings.mixing_steps
    model.train()
    run_stage(
        MixingPlan(model.met.eval().requires_grad_(False), model.source, model.mixer, steps),
        Mixtures(lessons, standard, steps, settings.seed), steps=steps, devices=settings.devices,
        label="learning to mix", progress=progress,
    )  # fmt: skip
    model.eval().requires_grad_(False)
    progress.report("matching spread and texture")
    _set_references(model, standard, lessons)
    _calibrate(model, standard, lessons, profiles, random)
    return Fitted(model, standard, cancers, sites, used)


def encode(model: MetGen, profiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean codes of standardised metastases, shape (samples, CODE)."""
    with torch.inference_mode():
        parts = [
            model.met.encode(torch.from_numpy(profiles[at : at + _CHUNK]))[0].numpy()
            for at in range(0, len(profiles), _CHUNK)
        ]
    return np.concatenate(parts)


def _calibrate(
    model: MetGen,
    standard: Standard,
    lessons: Lessons,
    profiles: NDArray[np.float32],
    random: np.random.Generator,
) -> None:
    """Give generated codes the spread, and generated profiles the residuals, of real metastases."""
    rows = random.integers(len(lessons.pairs), size=_CALIBRATING)
    primary, normal = draw_parents(lessons, lessons.pairs[rows], random)
    purity = lessons.purity[rows]
    mixed = standard.scale(mix(lessons.primaries[primary], lessons.normals[normal], purity))
    with torch.inference_mode():
        codes = model.mixed_codes(
            torch.from_numpy(standard.scale(lessons.primaries[primary])),
            torch.from_numpy(standard.scale(lessons.normals[normal])), torch.from_numpy(purity),
        ).numpy()  # fmt: skip
        decoded = model.met.decode(torch.from_numpy(encode(model, mixed))).numpy()
        real_decoded = model.met.decode(torch.from_numpy(lessons.codes)).numpy()
    model.mixer.shift.add_(torch.from_numpy(lessons.codes.mean(0) - codes.mean(0)))
    real = _within(lessons.codes, lessons.pairs)
    wanted = np.cov(real.T) - np.cov(_within(codes, lessons.pairs[rows]).T)
    strengths, axes = np.linalg.eigh(wanted)
    lacking = (axes * np.sqrt(np.maximum(strengths, 0))).T
    model.spread.copy_(torch.from_numpy(lacking.astype(np.float32)))
    model.texture.fit(profiles - real_decoded, mixed - decoded)


def _within(codes: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Codes less the mean of their cancer and site."""
    _, which = np.unique(pairs[:, 0] * 1000 + pairs[:, 1], return_inverse=True)
    count = np.bincount(which)[:, None]
    means = np.zeros((len(count), codes.shape[1]), dtype=np.float64)
    np.add.at(means, which, codes)
    return np.asarray(codes - (means / count)[which], dtype=np.float32)


def _purity(
    used: Cohort,
    met: NDArray[np.int64],
    tumours: NDArray[np.int64],
    normals: NDArray[np.int64],
    pairs: NDArray[np.int64],
    primary_classes: NDArray[np.int64],
    normal_classes: NDArray[np.int64],
) -> NDArray[np.float32]:
    purity = np.empty(len(met), dtype=np.float32)
    for cancer, site in np.unique(pairs, axis=0):
        rows = (pairs == (cancer, site)).all(1)
        purity[rows] = estimate_purity(
            used.values[met[rows]], used.values[tumours[primary_classes == cancer]].mean(0),
            used.values[normals[normal_classes == site]].mean(0),
        )  # fmt: skip
    return purity


def _set_references(model: MetGen, standard: Standard, lessons: Lessons) -> None:
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


def _codes_of(names: NDArray[np.str_], classes: tuple[str, ...]) -> NDArray[np.int64]:
    index = {name: place for place, name in enumerate(classes)}
    return np.array([index[str(name)] for name in names], dtype=np.int64)
