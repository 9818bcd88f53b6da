"""Learning a predictor's parts from encoded sections."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.models.reproducible import Drawn
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.inputs import InputSpace
from histoscribe.predictor.linear import expression_components, pooled
from histoscribe.predictor.model import FittedPredictor, project, seen_by
from histoscribe.predictor.novelty import learn_familiar
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.smoothness import spatial_order
from histoscribe.predictor.target import Target, panel_expression, spot_weights
from histoscribe.predictor.training.batches import SpotBatch, SpotBatches, TrainingSpots, training_steps
from histoscribe.predictor.training.views import (
    EncoderView,
    InputMatrix,
    InputProducts,
    view_axes,
    view_ridge,
)
from histoscribe.predictor.variants.variant import PredictorNetwork, variant_named
from histoscribe.progress import Progress
from histoscribe.rows import Held, part_of, room

_BLOCK_VALUES = 32 * 1024**2
_MOST_CLUSTERED = 50_000
_MOST_VISITS = 1_000_000
"""Of spots by one network: more passes over many spots teach it nothing."""
_FEWEST_EPOCHS = 3
_CHECKPOINTS = 6
"""Of the training of one network."""


@dataclass(frozen=True)
class FitOptions:
    """What all trainings of one fit share: those of inner validation and the last."""

    settings: PredictorSettings
    panel: tuple[str, ...]
    """Genes that every section has; empty where they are still to be chosen."""
    seed: int
    """Member i is trained from seed + i."""
    device: torch.device
    progress: Progress
    views: tuple[EncoderView, ...] = ()
    """What the networks see in turn."""
    devices: int = 1
    """How many of the device train a network together, each in a process of its own."""
    checkpoint: Path | None = None
    """A folder that keeps the state of every training."""


def fit_parts(
    sections: Sequence[EncodedSection], options: FitOptions, *, members: int = 1, message: str = "training"
) -> FittedPredictor:
    """Learn everything but the ensemble's weights and the intervals.

    Sections are looked at one after the other: what is kept of all spots, on disk where they are very many,
    is the expression of the panel and the image input on its main axes, whatever the encoder's length.

    `members`: how many networks for each view; `message`: what to tell progress.
    """
    settings, panel, seed = options.settings, options.panel, options.seed
    variant = variant_named(settings.variant)
    space = InputSpace.learned(sections, settings.reaches, settings.measures)
    parts, wanted = _measured(sections, panel, settings.target)
    targets = [part_of(wanted, rows) for rows in parts]
    weighed = variant.weighs_spots and "depth weights" not in settings.without
    trust = spot_weights(sections) if weighed else np.ones(len(wanted))
    spatial = spatial_order(targets, [section.centres_um for section in sections], space.pitch_um)
    mean, deviation = np.zeros(len(panel), np.float32), np.ones(len(panel), np.float32)
    if variant.standardises:
        mean, deviation = standardise(targets, [trust[rows] for rows in parts])
    rank = len(panel) if "low rank" in settings.without else settings.rank
    scores, loadings = expression_components(wanted, trust, rank)
    blocks = InputBlocks(sections, space, settings.blocks * sections[0].features.shape[1])
    whole = len(blocks) == 1
    inputs = InputMatrix(next(iter(blocks)), scores, trust) if whole else InputProducts(blocks, scores, trust)
    views = [view.columns(settings, sections[0].features.shape[1]) for view in options.views]
    components = view_axes(inputs, views, settings.components)
    reduced = _reduced(blocks, components, len(wanted))
    if variant.has_ridge:
        ridge = view_ridge(inputs, views)
    else:
        ridge = np.zeros((len(components), 1), dtype=np.float32)
        loadings = np.zeros((1, len(panel)), dtype=np.float32)
    types = _spot_types(sections, space, settings, seed)
    spots = [
        TrainingSpots(
            features=part_of(reduced, rows),
            expression=part_of(wanted, rows),
            places=variant.places(section.centres_um / section.pitch_um),
            types=types[rows],
            numbers=np.arange(rows.start, rows.stop, dtype=np.int64),
            trust=trust[rows].astype(np.float32),
        )
        for section, rows in zip(sections, parts, strict=True)
    ]
    size = -(-settings.batch_spots // options.devices)  # so that together they make as many steps as one
    batches = SpotBatches(spots, size, radius=variant.radius, joined=variant.joins_sections)
    networks, count = [], members * len(views)
    for member in range(count):
        seen = seen_by(member, len(views), components.shape[1])
        network = variant.build(settings, reduced[:1, seen].shape[1], len(panel), seed + member)
        told = message if count == 1 else f"{message}, network {member + 1} of {count}"
        _train(network, batches, seen, options, seed + member, told)
        networks.append(network)
    kept = gallery_spots(len(wanted), settings.gallery_spots, seed)
    return FittedPredictor(
        settings=settings,
        space=space,
        components=components,
        mean=mean,
        deviation=deviation,
        ridge=ridge,
        loadings=loadings,
        values=wanted[kept],
        trust=trust[kept].astype(np.float32),
        keys=[_gallery_keys(network, batches, settings.width, kept) for network in networks],
        networks=networks,
        familiar=learn_familiar(
            [section.features for section in sections], [part_of(reduced, rows) for rows in parts], seed
        ),
        views=len(views),
        spatial=spatial,
    )


def _measured(
    sections: Sequence[EncodedSection], panel: Sequence[str], target: Target
) -> tuple[list[slice], Held]:
    """The rows of each section's spots, and the expression of all, shape (spots, panel)."""
    ends = np.cumsum([0, *(len(section.spots) for section in sections)]).tolist()
    parts, wanted = [slice(*pair) for pair in pairwise(ends)], room((ends[-1], len(panel)))
    for rows, section in zip(parts, sections, strict=True):
        wanted[rows] = panel_expression(section, panel, target)
    return parts, wanted


class InputBlocks(Sized, Iterable[Floats]):
    """The image inputs of all training spots, some sections at a time: made anew whenever they are asked for.

    Where one block holds all, it is kept. `width`: columns of the image input.
    """

    def __init__(self, sections: Sequence[EncodedSection], space: InputSpace, width: int) -> None:
        ends = np.cumsum([len(section.spots) for section in sections])
        room = max(_BLOCK_VALUES // width, width)
        block = ends // room if ends[-1] > room else np.zeros_like(ends)
        self._sections, self._space = sections, space
        self._groups = [np.flatnonzero(block == number) for number in np.unique(block)]
        self._kept = [self._made(self._groups[0])] if len(self) == 1 else None

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Floats]:
        return iter(self._kept) if self._kept else map(self._made, self._groups)

    def _made(self, group: Numbers) -> Floats:
        return np.concatenate([self._space.of(self._sections[number]) for number in group])


def _reduced(blocks: InputBlocks, components: Floats, spots: int) -> Held:
    """The image input of all spots on its main axes; as it is where there are none."""
    reduced, done = room((spots, components.shape[1] or len(components))), 0
    for block in blocks:
        reduced[done : done + len(block)] = project(block, components, len(components))
        done += len(block)
    return reduced


def gallery_spots(count: int, most: int, seed: int) -> Numbers:
    """Which of so many training spots retrieval looks through, in their order: at most so many, at random."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def standardise(targets: Sequence[Held], trust: Sequence[Wide]) -> tuple[Floats, Floats]:
    """Centre the targets per section and scale them, in place: sections differ in depth and batch, not in
    tissue. Returns the mean and the deviation of each gene."""
    # Inputs are z-scored over the slide, so the experts write 0 on average: where all spots count alike.
    mean = np.mean([np.asarray(values).mean(axis=0, dtype=np.float64) for values in targets], axis=0)
    middles = [
        np.average(np.asarray(values), axis=0, weights=weights).astype(np.float64)
        for values, weights in zip(targets, trust, strict=True)
    ]
    apart = (np.asarray(values) - middle for values, middle in zip(targets, middles, strict=True))
    deviation = pooled(apart)[1]
    deviation = np.where(deviation > 1e-6, deviation, np.float32(1))
    for values, middle in zip(targets, middles, strict=True):
        values[:] = ((np.asarray(values) - middle) / deviation).astype(np.float32)
    return mean.astype(np.float32), deviation


def _train(
    network: PredictorNetwork, batches: SpotBatches, seen: slice, options: FitOptions, seed: int, message: str
) -> None:
    from histoscribe.models.training import Checkpoints, TrainingOptions, train

    settings = options.settings
    variant = variant_named(settings.variant)
    epochs = min(settings.epochs, max(_FEWEST_EPOCHS, _MOST_VISITS // batches.spots))
    steps = epochs * -(-len(batches) // options.devices)
    kept = None
    if options.checkpoint is not None:
        depends = repr((settings, seed, steps, seen, options.devices, torch.__version__))
        digest = hashlib.sha256(depends.encode() + batches.digest).hexdigest()
        kept = Checkpoints(options.checkpoint / digest[:16], max(steps // _CHECKPOINTS, 1))
    data = Drawn(training_steps, batches, steps, seed, 0 if kept is None else kept.step)
    loader = DataLoader(data, batch_size=None, generator=torch.Generator())
    how = TrainingOptions(message, steps, seed, device=options.device, devices=options.devices)
    how = replace(how, clip=variant.clip, report_every=len(batches), checkpoints=kept)
    optimise = partial(variant.optimise, network, settings, steps)

    def loss(batch: SpotBatch, _: int) -> torch.Tensor:
        part = replace(batch, features=batch.features[:, seen].contiguous())
        return variant.loss(network, part, settings)

    train(network, loader, loss=loss, optimise=optimise, options=how, progress=options.progress)


def _spot_types(
    sections: Sequence[EncodedSection], space: InputSpace, settings: PredictorSettings, seed: int
) -> Numbers:
    """The type of every training spot: given with the sections, or k-means clusters of the images.

    Never from expression. Types teach the network's gate, which later reads them from the image alone.
    """
    spots = sum(len(section.spots) for section in sections)
    if "spot types" in settings.without:
        return np.zeros(spots, dtype=np.int64)
    if settings.type_source == "given":
        return np.concatenate([section.types for section in sections if section.types is not None])
    from sklearn.cluster import KMeans

    plain, every = replace(space, radii=(), units=space.units[:1]), -(-spots // _MOST_CLUSTERED)
    some = np.concatenate([plain.of(section)[::every].copy() for section in sections])
    found = KMeans(min(settings.types, len(some)), n_init=3, random_state=seed).fit(some)
    if every == 1:
        return np.asarray(found.labels_, dtype=np.int64)
    return np.concatenate([found.predict(plain.of(section)) for section in sections]).astype(np.int64)


def _gallery_keys(network: PredictorNetwork, batches: SpotBatches, width: int, kept: Numbers) -> Floats:
    keys = np.empty((len(kept), width), dtype=np.float32)
    with torch.inference_mode():
        for batch in batches:
            embedded = network.embed_spots(batch.expression, batch.places, batch.types, batch.spatial)
            _, there, rows = np.intersect1d(kept, batch.numbers.numpy(), return_indices=True)
            keys[there] = embedded.numpy()[rows]
    return keys
