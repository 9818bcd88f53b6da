"""From a cohort to a trained model, stage by stage."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.errors import TableError
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.metgen import MetGen, learn_standard
from histoscribe.generator.network import CODE
from histoscribe.generator.parents import estimate_purity
from histoscribe.generator.settings import GeneratorSettings
from histoscribe.generator.training.batches import MixingSamples
from histoscribe.generator.training.calibration import calibrate, class_means, set_references
from histoscribe.models.reproducible import seeded
from histoscribe.models.standard import Standard
from histoscribe.progress import Progress

_LEAST = 2
_LEAST_METASTASES = 20
_TURNS = 60


def usable(cohort: Cohort) -> Cohort:
    """The samples to learn from: metastases whose cancer has primaries and whose site has normal tissue.

    Raises
    ------
    TableError
        If a class has one sample only, or too few metastases are left.
    """
    primaries, normals = cohort.of("primary"), cohort.of("normal")
    met = cohort.kinds == "metastasis"
    met &= np.isin(cohort.cancers, cohort.cancers[primaries]) & np.isin(cohort.sites, cohort.sites[normals])
    if met.sum() < _LEAST_METASTASES:
        raise TableError(
            f"{int(met.sum())} metastases have primaries of their cancer and normal tissue of their site "
            f"beside them ({len(cohort.of('metastasis'))} metastases, {len(primaries)} primaries, "
            f"{len(normals)} normal tissues were given)",
            remedy=f"give at least {_LEAST_METASTASES} such metastases",
        )
    cancers, sites = np.unique(cohort.cancers[met]), np.unique(cohort.sites[met])
    lone = []
    for kind, column, names in (
        ("primary", cohort.cancers, cancers), ("metastasis", cohort.cancers, cancers),
        ("normal", cohort.sites, sites), ("metastasis", cohort.sites, sites),
    ):  # fmt: skip
        rows = met if kind == "metastasis" else cohort.kinds == kind
        lone += [f"{name} ({kind})" for name in names if (column[rows] == name).sum() < _LEAST]
    if lone:
        raise TableError(
            f"classes with one sample only cannot be learned: {', '.join(lone[:5])}",
            remedy="add samples, or leave these out",
        )
    keep = met | ((cohort.kinds == "primary") & np.isin(cohort.cancers, cancers))
    return cohort.take(keep | ((cohort.kinds == "normal") & np.isin(cohort.sites, sites)))


def fit_model(
    used: Cohort, settings: GeneratorSettings, *, seed: int, device: torch.device, progress: Progress
) -> tuple[MetGen, Standard, tuple[str, ...], tuple[str, ...]]:
    """Train on a cohort that is usable: MetVAE, then source encoder and mixer, then spread and texture.

    Returns
    -------
    The model, its units, its cancers and its sites
    """
    from histoscribe.generator.training.stages import train_metvae, train_mixer
    from histoscribe.models.training import TrainingOptions

    random = np.random.default_rng(seed)
    met, tumours, normals = used.of("metastasis"), used.of("primary"), used.of("normal")
    standard = learn_standard(used.values[met], used.genes)
    cancers, of_met = np.unique(used.cancers[met], return_inverse=True)
    sites, at_site = np.unique(used.sites[met], return_inverse=True)
    pairs = np.stack([of_met, at_site], axis=1)
    profiles = standard.apply(used.values[met])
    primaries, normal_tissues = used.values[tumours], used.values[normals]
    of_primary = np.searchsorted(cancers, used.cancers[tumours])
    of_normal = np.searchsorted(sites, used.sites[normals])
    purity = _purity(
        used.values[met], pairs, class_means(primaries, of_primary), class_means(normal_tissues, of_normal)
    )
    if used.purity is not None:
        known = used.purity[met]
        purity = np.where(np.isnan(known), purity, known).astype(np.float32)
    stage = partial(TrainingOptions, device=device, clip=1.0, report_every=10)
    progress.report("finding the main directions")
    with seeded(seed, device):
        directions = torch.from_numpy(learn_directions(profiles))
        model = MetGen(directions, len(cancers), len(sites), len(met))
        options = stage("learning metastases", steps=settings.met_steps)
        train_metvae(model, profiles, pairs, options, seed, progress)
        samples = MixingSamples(
            primaries, normal_tissues, of_primary, of_normal, pairs, model.encode(profiles), purity
        )
        options = stage("learning to mix", steps=settings.mixing_steps)
        train_mixer(model, samples, standard, options, seed, progress)
        progress.report("matching spread and texture")
        model.known_codes.copy_(torch.from_numpy(samples.codes))
        model.known_pairs.copy_(torch.from_numpy(pairs))
        set_references(model, standard, samples)
        calibrate(model, standard, samples, profiles, random)
    return model, standard, tuple(cancers.tolist()), tuple(sites.tolist())


def _purity(
    metastases: NDArray[np.float32], pairs: NDArray[np.int64], primary_means: NDArray[np.float32],
    normal_means: NDArray[np.float32],
) -> NDArray[np.float32]:  # fmt: skip
    """Share of tumour in each metastasis, as the mean parents of its pair tell."""
    purity = np.empty(len(metastases), dtype=np.float32)
    for cancer, site in np.unique(pairs, axis=0):
        rows = (pairs == (cancer, site)).all(1)
        purity[rows] = estimate_purity(metastases[rows], primary_means[cancer], normal_means[site])
    return purity


def learn_directions(profiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Varimax-turned principal directions (Kaiser, 1958), strongest first, scaled to codes of unit variance.

    Each direction points to where its loadings are skewed, so that signs do not change from run to run.

    Parameters
    ----------
    profiles : ndarray of float32, shape (samples, genes)
        Standardised.

    Returns
    -------
    ndarray of float32, shape (genes, CODE)
        Where there are fewer samples than components, the last ones are close to 0.
    """
    centred = profiles - profiles.mean(0)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    rank = min(CODE, max(len(profiles) - 2, 1))
    order = np.argsort(-values)[:rank]
    axes = (centred.T @ vectors[:, order]) / np.sqrt(np.maximum(values[order], 1e-9))
    loadings = axes * np.sqrt(values[order] / len(profiles))
    loadings = loadings @ _varimax(loadings)
    scores = centred @ np.linalg.pinv(loadings).T
    loadings = loadings * scores.std(0)
    loadings = loadings[:, np.argsort(-np.square(loadings).sum(0))]
    loadings *= np.where((loadings**3).sum(0) < 0, -1.0, 1.0)
    whole = np.random.default_rng(0).normal(0, 1e-3, (profiles.shape[1], CODE))
    whole[:, :rank] = loadings
    return whole.astype(np.float32)


def _varimax(loadings: NDArray[np.float64]) -> NDArray[np.float64]:
    genes, count = loadings.shape
    turn = np.eye(count)
    for _ in range(_TURNS):
        turned = loadings @ turn
        target = turned**3 - turned * (np.square(turned).sum(0) / genes)
        left, _, right = np.linalg.svd(loadings.T @ target)
        turn = left @ right
    return np.asarray(turn)
