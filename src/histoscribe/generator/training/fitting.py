"""From a cohort to a trained model, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.errors import TableError
from histoscribe.generator.cohort.cohort import Cohort
from histoscribe.generator.metgen import MetGen
from histoscribe.generator.mixing import estimate_purity
from histoscribe.generator.standard import Standard, learn_standard
from histoscribe.generator.training.calibration import calibrate, encode, set_references
from histoscribe.generator.training.directions import learn_directions
from histoscribe.generator.training.plan import (
    Lessons,
    MetVAEPlan,
    MixingPlan,
    Mixtures,
    Shuffled,
    run_stage,
)
from histoscribe.progress import Progress

_LEAST = 2
_LEAST_METASTASES = 20


@dataclass(frozen=True)
class Settings:
    """What is chosen before training.

    Parameters
    ----------
    met_steps, mixing_steps : int
        Training steps of the MetVAE, and of source encoder and mixer.
    seed : int
    """

    met_steps: int = 600
    mixing_steps: int = 500
    seed: int = 0


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
        label="learning metastases", progress=progress,
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
        Mixtures(lessons, standard, steps, settings.seed), steps=steps,
        label="learning to mix", progress=progress,
    )  # fmt: skip
    model.eval().requires_grad_(False)
    progress.report("matching spread and texture")
    set_references(model, standard, lessons)
    calibrate(model, standard, lessons, profiles, random)
    return Fitted(model, standard, cancers, sites, used)


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
    if used.purity is not None:
        told = used.purity[met]
        purity = np.where(np.isnan(told), purity, told).astype(np.float32)
    return purity


def _codes_of(names: NDArray[np.str_], classes: tuple[str, ...]) -> NDArray[np.int64]:
    index = {name: place for place, name in enumerate(classes)}
    return np.array([index[str(name)] for name in names], dtype=np.int64)
