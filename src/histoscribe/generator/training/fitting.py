"""From a cohort to a trained model, stage by stage, and calibrated so that it varies as real samples do."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from histoscribe.arrays import Floats, Numbers
from histoscribe.errors import TableError
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.metgen import PURITY_KNOTS, REFERENCE_AXES, MetGen, learn_standard
from histoscribe.generator.network import CODE
from histoscribe.generator.parents import estimate_purity, mix
from histoscribe.generator.training.batches import MixingSamples, metastasis_batches, mixture_batches
from histoscribe.generator.training.stages import train_metvae, train_mixer
from histoscribe.models.estimator import require_whole
from histoscribe.models.reproducible import Drawn, seeded
from histoscribe.models.standard import Standard
from histoscribe.progress import Progress

_SAMPLES = 2048
_GAIN = (0.7, 1.5)

_LEAST = 2
_LEAST_METASTASES = 20
_TURNS = 60


@dataclass(frozen=True)
class GeneratorSettings:
    """What is chosen before training; `SettingError` if a stage has no step."""

    met_steps: int = 600
    mixing_steps: int = 500
    """Training steps of the MetVAE, and of source encoder and mixer."""

    def __post_init__(self) -> None:
        require_whole(self, met_steps=1, mixing_steps=1)


def usable(cohort: Cohort) -> Cohort:
    """The samples to learn from: metastases whose cancer has primaries and whose site has normal tissue.

    Raises `TableError` if a class has one sample only, or too few metastases are left.
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
    for kind, column, names in (("primary", cohort.cancers, cancers), ("normal", cohort.sites, sites)):
        for rows, what in ((cohort.kinds == kind, kind), (met, "metastasis")):
            lone += [f"{name} ({what})" for name in names if (column[rows] == name).sum() < _LEAST]
    if lone:
        problem = f"classes with one sample only cannot be learned: {', '.join(lone[:5])}"
        raise TableError(problem, remedy="add samples, or leave these out")
    keep = met | ((cohort.kinds == "primary") & np.isin(cohort.cancers, cancers))
    return cohort.take(keep | ((cohort.kinds == "normal") & np.isin(cohort.sites, sites)))


def fit_model(
    used: Cohort, settings: GeneratorSettings, *, seed: int, device: torch.device, progress: Progress
) -> tuple[MetGen, Standard, tuple[str, ...], tuple[str, ...]]:
    """Train on a cohort that is usable: MetVAE, then source encoder and mixer, then spread and texture."""
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
    of_cancer, of_site = class_means(primaries, of_primary), class_means(normal_tissues, of_normal)
    purity = np.empty(len(met), dtype=np.float32)
    for cancer, site in np.unique(pairs, axis=0):
        rows = (pairs == (cancer, site)).all(1)
        purity[rows] = estimate_purity(used.values[met][rows], of_cancer[cancer], of_site[site])
    known = used.purity[met]
    purity = np.where(np.isnan(known), purity, known).astype(np.float32)
    stage = partial(TrainingOptions, device=device, clip=1.0, report_every=10)
    progress.report("finding the main directions")
    with seeded(seed, device):
        directions = torch.from_numpy(learn_directions(profiles))
        model = MetGen(directions, len(cancers), len(sites), len(met))
        batches = Drawn(metastasis_batches, profiles, pairs, settings.met_steps, seed)
        train_metvae(model, batches, stage("learning metastases", steps=settings.met_steps), progress)
        samples = MixingSamples(
            primaries, normal_tissues, of_primary, of_normal, pairs, model.encode(profiles), purity
        )
        batches = Drawn(mixture_batches, samples, standard, settings.mixing_steps, seed)
        train_mixer(model, batches, stage("learning to mix", steps=settings.mixing_steps), progress)
        progress.report("matching spread and texture")
        model.known_codes.copy_(torch.from_numpy(samples.codes))
        model.known_pairs.copy_(torch.from_numpy(pairs))
        set_references(model, standard, samples)
        calibrate(model, standard, samples, profiles, random)
    return model, standard, tuple(cancers.tolist()), tuple(sites.tolist())


def learn_directions(profiles: Floats) -> Floats:
    """Varimax-turned principal directions (Kaiser, 1958), strongest first, scaled to codes of unit variance.

    From standardised profiles (samples, genes), shape (genes, CODE); where there are fewer samples than
    components, the last ones are close to 0. Each direction points to where its loadings are skewed, so that
    signs do not change from run to run.
    """
    centred = profiles - profiles.mean(0)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    rank = min(CODE, max(len(profiles) - 2, 1))
    order = np.argsort(-values)[:rank]
    axes = (centred.T @ vectors[:, order]) / np.sqrt(np.maximum(values[order], 1e-9))
    loadings = axes * np.sqrt(values[order] / len(profiles))
    turn = np.eye(rank)
    for _ in range(_TURNS):
        turned = loadings @ turn
        target = turned**3 - turned * (np.square(turned).sum(0) / len(turned))
        left, _, right = np.linalg.svd(loadings.T @ target)
        turn = left @ right
    loadings = loadings @ turn
    scores = centred @ np.linalg.pinv(loadings).T
    loadings = loadings * scores.std(0)
    loadings = loadings[:, np.argsort(-np.square(loadings).sum(0))]
    loadings *= np.where((loadings**3).sum(0) < 0, -1.0, 1.0)
    whole = np.random.default_rng(0).normal(0, 1e-3, (profiles.shape[1], CODE))
    whole[:, :rank] = loadings
    return whole.astype(np.float32)


def calibrate(
    model: MetGen, standard: Standard, samples: MixingSamples, profiles: Floats, random: np.random.Generator
) -> None:
    """Give generated codes the spread, and generated profiles the residuals, of real metastases.

    These are standardised, shape (metastases, genes). Codes are centred on the real ones; what a parent has
    of its own, beyond the mixture of mean parents, is scaled in each component (0.7 to 1.5) towards the real
    variance; the covariance that is still lacking becomes noise.
    """
    rows = random.integers(len(samples.pairs), size=_SAMPLES)
    pairs, purity = samples.pairs[rows], samples.purity[rows]
    primary, normal = samples.draw_parents(pairs, random)
    mixed = standard.apply(mix(samples.primaries[primary], samples.normals[normal], purity))
    with torch.inference_mode():
        share = torch.from_numpy(purity)
        units = map(standard.apply, (samples.primaries[primary], samples.normals[normal]))
        tumours, tissues = map(torch.from_numpy, units)
        codes = model.mixed_codes(tumours, tissues, share).numpy()
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


def class_means(values: Floats, classes: Numbers) -> Floats:
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


def _within(codes: Floats, pairs: Numbers) -> Floats:
    """Codes less the mean of their cancer and site."""
    _, which = np.unique(pairs[:, 0] * 1000 + pairs[:, 1], return_inverse=True)
    count = np.bincount(which)[:, None]
    means = np.zeros((len(count), codes.shape[1]), dtype=np.float64)
    np.add.at(means, which, codes)
    return np.asarray(codes - (means / count)[which], dtype=np.float32)
