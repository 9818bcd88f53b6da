"""A fitted predictor as arrays and networks: learning it from encoded sections, asking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.predictor.batches import Batch, Spots, make_batches
from histoscribe.predictor.blend import Answers, Blend
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.gallery import retrieve
from histoscribe.predictor.inputs import Scale, image_input, scale_of, training_scales
from histoscribe.predictor.linear import principal_axes, reduced_rank_ridge
from histoscribe.predictor.network import Network
from histoscribe.predictor.published import PublishedNetwork
from histoscribe.predictor.settings import Settings
from histoscribe.predictor.target import panel_expression
from histoscribe.progress import Progress

MOST_NEIGHBOURS = 200
_RADIUS = {"histoscribe": 1.5, "published": 2.999}

AnyNetwork = Network | PublishedNetwork


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything that a trained predictor knows.

    Parameters
    ----------
    settings : Settings
    pitch_um : float
        Length in which the context radii are counted: the training sections' median pitch.
    scales : (Scale, Scale)
        Of descriptors and context over the training spots, for targets with few tiles.
    type_centres : ndarray, shape (types, d)
        Spot types in standardised descriptors.
    components : ndarray, shape (inputs, components)
        Principal axes of the image input; empty columns where it is not reduced.
    mean, deviation : ndarray, shape (genes,)
        Of the training target; 0 and 1 in the published form.
    weights : ndarray, shape (inputs, genes)
        Of the ridge expert; zeros in the published form.
    values : ndarray, shape (references, genes)
        Standardised expression of the gallery's spots.
    keys : list of ndarray, each of shape (references, width)
        Embeddings of the gallery's spots, one array per member.
    networks : list of Network or PublishedNetwork
    blend : Blend
    """

    settings: Settings
    pitch_um: float
    scales: tuple[Scale, Scale]
    type_centres: NDArray[np.float32]
    components: NDArray[np.float32]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    weights: NDArray[np.float32]
    values: NDArray[np.float32]
    keys: list[NDArray[np.float32]]
    networks: list[AnyNetwork]
    blend: Blend = field(default_factory=Blend)

    def with_blend(self, blend: Blend) -> Fitted:
        """The same with another blend."""
        return replace(self, blend=blend)

    def inputs(self, features: NDArray[np.float32], centres_um: NDArray[np.float64]) -> NDArray[np.float32]:
        """The image input of tiles, shape (tiles, inputs)."""
        return image_input(features, centres_um, self.pitch_um, self.settings.radii or (), self.scales)

    def types_of(self, inputs: NDArray[np.float32]) -> NDArray[np.int64]:
        """The spot type of every tile, from the image alone."""
        return nearest_centre(inputs[:, : self.type_centres.shape[1]], self.type_centres)

    def answers(self, inputs: NDArray[np.float32], device: torch.device) -> Answers:
        """What each part predicts, in standardised expression."""
        reduced = torch.from_numpy(_reduced(inputs, self.components))
        regression: NDArray[np.float32] = np.zeros((len(inputs), len(self.mean)), dtype=np.float32)
        retrieved = []
        for network, keys in zip(self.networks, self.keys, strict=True):
            network.to(device).eval()
            embeddings = []
            with torch.inference_mode():
                for start in range(0, len(reduced), 4096):
                    embedding = network.embed_image(reduced[start : start + 4096].to(device))
                    rows = slice(start, start + len(embedding))
                    regression[rows] += network.regress(embedding)[0].cpu().numpy()
                    embeddings.append(embedding.cpu().numpy())
            network.to("cpu")
            retrieved.append(retrieve(np.concatenate(embeddings), keys, MOST_NEIGHBOURS))
        averaged = np.asarray(regression / len(self.networks), dtype=np.float32)
        linear = np.asarray(inputs @ self.weights, dtype=np.float32)
        return Answers(averaged, linear, retrieved, self.values)

    def expression(self, standardised: NDArray[np.float32]) -> NDArray[np.float32]:
        """From standardised to log expression, never below 0."""
        return np.maximum(self.mean + self.deviation * standardised, 0).astype(np.float32)


def fit_core(
    sections: Sequence[EncodedSection],
    panel: Sequence[str],
    settings: Settings,
    *,
    seed: int,
    members: int,
    device: torch.device,
    progress: Progress,
    message: str = "training",
) -> Fitted:
    """Learn everything but the blend.

    Parameters
    ----------
    sections : sequence of EncodedSection
    panel : sequence of str
        Genes that every section has.
    settings : Settings
    seed : int
        Member i is trained from seed + i.
    members : int
        How many networks.
    device : torch.device
    progress : Progress
    message : str
        What to tell `progress`.
    """
    from histoscribe.predictor.plan import train

    published = settings.variant == "published"
    pitch = float(np.median([section.pitch_um for section in sections]))
    features = [section.features for section in sections]
    centres = [section.centres_um for section in sections]
    radii = settings.radii or ()
    scales = training_scales(features, centres, pitch, radii)
    inputs = [
        image_input(values, places, pitch, radii, scales)
        for values, places in zip(features, centres, strict=True)
    ]
    targets = [panel_expression(section, panel) for section in sections]
    mean, deviation, expression = standardised_targets(targets, published=published)
    width = features[0].shape[1]
    types, type_centres = find_types(np.concatenate(inputs)[:, :width], settings.types, seed)
    stacked, wanted = np.concatenate(inputs), np.concatenate(expression)
    components = principal_axes(stacked, settings.components)
    weights = np.zeros((stacked.shape[1], len(panel)), dtype=np.float32)
    if not published:
        weights = reduced_rank_ridge(stacked, wanted, settings.rank)
    reduced = _reduced(stacked, components)
    starts = np.cumsum([0, *(len(values) for values in inputs)])
    spots = [
        Spots(
            reduced[start:stop],
            values,
            _places(section, published),
            types[start:stop],
            np.arange(start, stop, dtype=np.int64),
        )
        for section, values, start, stop in zip(sections, expression, starts[:-1], starts[1:], strict=True)
    ]
    # The published form takes one section per batch.
    groups = [[part] for part in spots] if published else [spots]
    radius = _RADIUS[settings.variant]
    batches = [part for group in groups for part in make_batches(group, settings.batch_spots, radius=radius)]
    networks, keys = [], []
    for member in range(members):
        network = build_network(settings, reduced.shape[1], len(panel), seed + member)
        told = message if members == 1 else f"{message}, network {member + 1} of {members}"
        train(network, batches, settings, seed=seed + member, device=device, progress=progress, message=told)
        networks.append(network)
        keys.append(_gallery_keys(network, batches, settings.width))
    return Fitted(
        settings,
        pitch,
        scales,
        type_centres,
        components,
        mean,
        deviation,
        weights,
        wanted,
        keys,
        networks,
    )


def build_network(settings: Settings, inputs: int, genes: int, seed: int) -> AnyNetwork:
    """An untrained network; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if settings.variant == "published":
            return PublishedNetwork(
                inputs, genes, width=settings.width, heads=settings.heads, dropout=settings.dropout
            )
        return Network(
            inputs,
            genes,
            settings.types,
            width=settings.width,
            heads=settings.heads,
            dropout=settings.dropout,
        )


def find_types(
    descriptors: NDArray[np.float32], count: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Spot types from the image alone: k-means clusters of standardised descriptors and their centres."""
    from sklearn.cluster import KMeans

    found = KMeans(min(count, len(descriptors)), n_init=3, random_state=seed).fit(descriptors)
    centres = np.zeros((count, descriptors.shape[1]), dtype=np.float32)
    centres[: len(found.cluster_centers_)] = found.cluster_centers_
    return nearest_centre(descriptors, centres[: len(found.cluster_centers_)]), centres


def nearest_centre(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """The closest centre of every row, shape (rows,)."""
    distance = (centres**2).sum(axis=1) - 2 * rows @ centres.T
    return np.asarray(distance.argmin(axis=1), dtype=np.int64)


def standardised_targets(
    targets: list[NDArray[np.float32]], *, published: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[NDArray[np.float32]]]:
    """Mean, deviation and targets centred per section: sections differ in depth and batch, not in tissue."""
    genes = targets[0].shape[1]
    if published:
        return np.zeros(genes, np.float32), np.ones(genes, np.float32), targets
    own = [values.mean(axis=0, dtype=np.float64) for values in targets]
    centred = [values - middle for values, middle in zip(targets, own, strict=True)]
    deviation = scale_of(np.concatenate(centred).astype(np.float32))[1]
    deviation = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
    scaled = [(values / deviation).astype(np.float32) for values in centred]
    return np.mean(own, axis=0).astype(np.float32), deviation, scaled


def _places(section: EncodedSection, published: bool) -> NDArray[np.float32]:
    places = section.centres_um / section.pitch_um
    if published:
        return np.asarray(np.rint(places - places.min(axis=0)), dtype=np.float32)
    return np.asarray(places - places.mean(axis=0), dtype=np.float32)


def _reduced(inputs: NDArray[np.float32], components: NDArray[np.float32]) -> NDArray[np.float32]:
    if not components.shape[1]:
        return inputs
    # One factor for all components keeps their proportions and brings them near 1.
    scale = np.sqrt(len(components) / components.shape[1])
    return np.asarray(inputs @ components / scale, dtype=np.float32)


def _gallery_keys(network: AnyNetwork, batches: Sequence[Batch], width: int) -> NDArray[np.float32]:
    count = sum(len(batch.numbers) for batch in batches)
    keys = np.empty((count, width), dtype=np.float32)
    with torch.inference_mode():
        for batch in batches:
            embedded = network.embed_spots(batch.expression, batch.places, batch.types, batch.spatial)
            keys[batch.numbers.numpy()] = embedded.numpy()
    return keys
