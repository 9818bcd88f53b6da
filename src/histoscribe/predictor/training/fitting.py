"""Learning a predictor's parts from encoded sections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from histoscribe.predictor.core import Fitted, project
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.inputs import section_input, training_scales
from histoscribe.predictor.linear import (
    expression_components,
    principal_axes,
    weighted_ridge,
)
from histoscribe.predictor.novelty import learn_familiar
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.target import panel_expression, spot_weights
from histoscribe.predictor.training.batches import Batch, Spots, make_batches
from histoscribe.predictor.variants.variant import PredictorNetwork, variant_named
from histoscribe.progress import Progress


def fit_core(
    sections: Sequence[EncodedSection],
    panel: Sequence[str],
    settings: PredictorSettings,
    *,
    seed: int,
    members: int,
    device: torch.device,
    progress: Progress,
    message: str = "training",
) -> Fitted:
    """Learn everything but the blend and the intervals.

    Parameters
    ----------
    sections : sequence of EncodedSection
    panel : sequence of str
        Genes that every section has.
    settings : PredictorSettings
    seed : int
        Member i is trained from seed + i.
    members : int
        How many networks.
    device : torch.device
    progress : Progress
    message : str
        What to tell `progress`.
    """
    variant = variant_named(settings.variant)
    without = settings.without
    pitch = float(np.median([section.pitch_um for section in sections]))
    features = [section.features for section in sections]
    radii = settings.reaches
    scales = training_scales(sections, pitch, radii)
    inputs = np.concatenate(
        [section_input(section, pitch, radii, scales, settings.measures) for section in sections]
    )
    starts = np.cumsum([0, *(len(values) for values in features)])
    targets = [panel_expression(section, panel, settings.target) for section in sections]
    weighed = variant.weighs_spots and "depth weights" not in without
    trust = spot_weights(sections) if weighed else np.ones(len(inputs))
    genes = len(panel)
    mean, deviation, expression = np.zeros(genes, np.float32), np.ones(genes, np.float32), targets
    if variant.standardises:
        mean, deviation, expression = standardised_targets(targets, np.split(trust, starts[1:-1]))
    wanted = np.concatenate(expression)
    types = spot_types(sections, inputs[:, : features[0].shape[1]], settings, seed)
    components = principal_axes(inputs, settings.components)
    reduced = project(inputs, components, len(components))
    ridge = np.zeros((inputs.shape[1], 1), dtype=np.float32)
    loadings = np.zeros((1, genes), dtype=np.float32)
    if variant.has_ridge:
        rank = genes if "low rank" in without else settings.rank
        main = expression_components(wanted, trust, rank)
        ridge, loadings = weighted_ridge(inputs, main.scores, trust), main.loadings
    spots = [
        Spots(
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
    networks, keys = [], []
    for member in range(members):
        network = variant.build(settings, reduced.shape[1], genes, seed + member)
        told = message if members == 1 else f"{message}, network {member + 1} of {members}"
        _train(network, batches, settings, seed=seed + member, device=device, progress=progress, message=told)
        networks.append(network)
        keys.append(_gallery_keys(network, batches, settings.width))
    return Fitted(
        settings=settings,
        pitch_um=pitch,
        scales=scales,
        components=components,
        mean=mean,
        deviation=deviation,
        ridge=ridge,
        loadings=loadings,
        values=wanted,
        trust=trust.astype(np.float32),
        keys=keys,
        networks=networks,
        familiar=learn_familiar(features, np.split(reduced, starts[1:-1]), seed),
    )


def _train(
    network: PredictorNetwork,
    batches: Sequence[Batch],
    settings: PredictorSettings,
    *,
    seed: int,
    device: torch.device,
    progress: Progress,
    message: str,
) -> None:
    from histoscribe.models.training import TrainingOptions, train

    variant = variant_named(settings.variant)
    data: DataLoader[Batch] = DataLoader(
        [batch.to(device) for batch in batches],  # type: ignore[arg-type]
        batch_size=None,
        shuffle=len(batches) > 1,
        generator=torch.Generator().manual_seed(seed),
    )
    train(
        network,
        data,
        loss=lambda batch, _: variant.loss(network, batch, settings),
        optimise=lambda: variant.optimise(network, settings, settings.epochs * len(batches)),
        options=TrainingOptions(message, epochs=settings.epochs, seed=seed, device=device, clip=variant.clip),
        progress=progress,
    )


def spot_types(
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


def _gallery_keys(network: PredictorNetwork, batches: Sequence[Batch], width: int) -> NDArray[np.float32]:
    count = sum(len(batch.numbers) for batch in batches)
    keys = np.empty((count, width), dtype=np.float32)
    with torch.inference_mode():
        for batch in batches:
            embedded = network.embed_spots(batch.expression, batch.places, batch.types, batch.spatial)
            keys[batch.numbers.numpy()] = embedded.numpy()
    return keys
