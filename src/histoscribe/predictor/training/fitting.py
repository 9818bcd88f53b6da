"""Learning a predictor's parts from encoded sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.inputs import InputSpace
from histoscribe.predictor.linear import expression_components
from histoscribe.predictor.model import FittedPredictor, project, seen_by
from histoscribe.predictor.novelty import learn_familiar
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.smoothness import spatial_order
from histoscribe.predictor.target import panel_expression, spot_weights
from histoscribe.predictor.training.batches import SpotBatch, TrainingSpots, make_batches
from histoscribe.predictor.training.views import EncoderView, view_axes, view_ridge
from histoscribe.predictor.variants.variant import PredictorNetwork, variant_named
from histoscribe.progress import Progress


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


def fit_parts(
    sections: Sequence[EncodedSection], options: FitOptions, *, members: int = 1, message: str = "training"
) -> FittedPredictor:
    """Learn everything but the ensemble's weights and the intervals.

    `members`: how many networks for each view; `message`: what to tell progress.
    """
    settings, panel, seed = options.settings, options.panel, options.seed
    variant = variant_named(settings.variant)
    features = [section.features for section in sections]
    space = InputSpace.learned(sections, settings.reaches, settings.measures)
    inputs = np.concatenate([space.of(section) for section in sections])
    starts = np.cumsum([0, *(len(values) for values in features)])
    targets = [panel_expression(section, panel, settings.target) for section in sections]
    weighed = variant.weighs_spots and "depth weights" not in settings.without
    trust = spot_weights(sections) if weighed else np.ones(len(inputs))
    mean, deviation = np.zeros(len(panel), np.float32), np.ones(len(panel), np.float32)
    expression = targets
    if variant.standardises:
        mean, deviation, expression = standardised_targets(targets, np.split(trust, starts[1:-1]))
    wanted = np.concatenate(expression)
    types = _spot_types(sections, inputs[:, : features[0].shape[1]], settings, seed)
    views = [view.columns(settings, features[0].shape[1]) for view in options.views]
    components = view_axes(inputs, views, settings.components)
    reduced = project(inputs, components, len(components))
    ridge = np.zeros((inputs.shape[1], 1), dtype=np.float32)
    loadings = np.zeros((1, len(panel)), dtype=np.float32)
    if variant.has_ridge:
        rank = len(panel) if "low rank" in settings.without else settings.rank
        scores, loadings = expression_components(wanted, trust, rank)
        ridge = view_ridge(inputs, views, scores, trust)
    spots = [
        TrainingSpots(
            reduced[start:stop],
            values,
            variant.places(section.centres_um / section.pitch_um),
            types[start:stop],
            np.arange(start, stop, dtype=np.int64),
            trust[start:stop].astype(np.float32),
        )
        for section, values, start, stop in zip(sections, expression, starts[:-1], starts[1:], strict=True)
    ]
    groups = [spots] if variant.joins_sections else [[part] for part in spots]
    batches = [
        part for group in groups for part in make_batches(group, settings.batch_spots, radius=variant.radius)
    ]
    networks, count = [], members * len(views)
    for member in range(count):
        seen = seen_by(member, len(views), components.shape[1])
        own = [replace(batch, features=batch.features[:, seen].contiguous()) for batch in batches]
        network = variant.build(settings, own[0].features.shape[1], len(panel), seed + member)
        told = message if count == 1 else f"{message}, network {member + 1} of {count}"
        _train(network, own, options, seed + member, told)
        networks.append(network)
    return FittedPredictor(
        settings=settings,
        space=space,
        components=components,
        mean=mean,
        deviation=deviation,
        ridge=ridge,
        loadings=loadings,
        values=wanted,
        trust=trust.astype(np.float32),
        keys=[_gallery_keys(network, batches, settings.width) for network in networks],
        networks=networks,
        familiar=learn_familiar(features, np.split(reduced, starts[1:-1]), seed),
        views=len(views),
        spatial=spatial_order(targets, [section.centres_um for section in sections], space.pitch_um),
    )


def standardised_targets(
    targets: list[NDArray[np.float32]], trust: list[NDArray[np.float64]]
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[NDArray[np.float32]]]:
    """Mean, deviation and targets centred per section: sections differ in depth and batch, not in tissue."""
    middles = [
        np.average(values, axis=0, weights=weights).astype(np.float64)
        for values, weights in zip(targets, trust, strict=True)
    ]
    centred = [values - middle for values, middle in zip(targets, middles, strict=True)]
    deviation = np.concatenate(centred).std(axis=0, dtype=np.float64)
    deviation = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
    scaled = [(values / deviation).astype(np.float32) for values in centred]
    # Inputs are z-scored over the slide, so the experts write 0 on average: where all spots count alike.
    mean = np.mean([values.mean(axis=0, dtype=np.float64) for values in targets], axis=0)
    return mean.astype(np.float32), deviation, scaled


def _train(
    network: PredictorNetwork, batches: Sequence[SpotBatch], options: FitOptions, seed: int, message: str
) -> None:
    from histoscribe.models.training import TrainingOptions, train

    settings = options.settings
    variant = variant_named(settings.variant)
    data: DataLoader[SpotBatch] = DataLoader(
        [batch.to(options.device) for batch in batches],  # type: ignore[arg-type]
        batch_size=None,
        shuffle=len(batches) > 1,
        generator=torch.Generator().manual_seed(seed),
    )
    train(
        network,
        data,
        loss=lambda batch, _: variant.loss(network, batch, settings),
        optimise=lambda: variant.optimise(network, settings, settings.epochs * len(batches)),
        options=TrainingOptions(
            message, epochs=settings.epochs, seed=seed, device=options.device, clip=variant.clip
        ),
        progress=options.progress,
    )


def _spot_types(
    sections: Sequence[EncodedSection],
    descriptors: NDArray[np.float32],
    settings: PredictorSettings,
    seed: int,
) -> NDArray[np.int64]:
    """The type of every training spot: given with the sections, or k-means clusters of the images.

    Never from expression. Types teach the network's gate, which later reads them from the image alone.
    """
    if "spot types" in settings.without:
        return np.zeros(len(descriptors), dtype=np.int64)
    if settings.type_source == "given":
        return np.concatenate([section.types for section in sections if section.types is not None])
    from sklearn.cluster import KMeans

    found = KMeans(min(settings.types, len(descriptors)), n_init=3, random_state=seed).fit(descriptors)
    return np.asarray(found.labels_, dtype=np.int64)


def _gallery_keys(network: PredictorNetwork, batches: Sequence[SpotBatch], width: int) -> NDArray[np.float32]:
    count = sum(len(batch.numbers) for batch in batches)
    keys = np.empty((count, width), dtype=np.float32)
    with torch.inference_mode():
        for batch in batches:
            embedded = network.embed_spots(batch.expression, batch.places, batch.types, batch.spatial)
            keys[batch.numbers.numpy()] = embedded.numpy()
    return keys
