"""A fitted predictor as arrays and networks, and what its parts predict."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.errors import ModelError, SectionError
from histoscribe.predictor.ensemble import EnsembleWeights, PartialPredictions
from histoscribe.predictor.inputs import InputSpace
from histoscribe.predictor.intervals import Intervals
from histoscribe.predictor.novelty import NoveltyReference
from histoscribe.predictor.retrieval.evidence import Crops
from histoscribe.predictor.retrieval.gallery import Neighbours, retrieve
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.smoothness import smoothed
from histoscribe.predictor.variants.variant import PredictorNetwork
from histoscribe.progress import Progress
from histoscribe.rows import Held, room, runs_of

MOST_NEIGHBOURS = 200


@dataclass(frozen=True, eq=False)
class ImageInputs:
    """What a fitted predictor sees of some tiles."""

    reduced: Held
    """The image input on its main axes, shape (tiles, components)."""
    linear: Held
    """What the ridge reads from the whole image input, shape (tiles, rank)."""
    raw: Held
    """Descriptors as the encoder gave them, shape (tiles, d)."""
    centres_um: Wide
    """Shape (tiles, 2)."""

    def __getitem__(self, rows: slice) -> ImageInputs:
        return ImageInputs(self.reduced[rows], self.linear[rows], self.raw[rows], self.centres_um[rows])


@dataclass(frozen=True, eq=False)
class TilePredictions:
    """What a predictor says of some tiles."""

    expression: Held
    """log1p of counts per 10,000, never negative, shape (tiles, genes)."""
    evidence: Numbers
    shares: Floats
    """`evidence` and `shares`: numbers of the reference spots that weigh most in retrieval, and how much,
    shape (tiles, at most 8)."""
    types: Numbers
    """The spot type that the gate reads from the image, shape (tiles,)."""
    novelty: Floats
    """Distance to the training tiles; above 1 it is larger than among 99 % of them. Shape (tiles,)."""

    def __getitem__(self, rows: slice) -> TilePredictions:
        return TilePredictions(*(getattr(self, entry.name)[rows] for entry in fields(self)))


@dataclass(frozen=True, eq=False)
class FittedPredictor:
    """Everything that a trained predictor knows."""

    settings: PredictorSettings
    space: InputSpace
    """How descriptors become the image input."""
    components: Floats
    """Principal axes of the image input; empty columns where it is not reduced. Shape (inputs,
    components)."""
    mean: Floats
    deviation: Floats
    """`mean` and `deviation`: of the training target; 0 and 1 where the variant does not standardise. Shape
    (genes,)."""
    ridge: Floats
    """Weights of the linear answer; zeros where the variant has none. Shape (inputs, rank)."""
    loadings: Floats
    """What the scores of the ridge stand for, shape (rank, genes)."""
    values: Floats
    """Standardised expression of the gallery's spots, shape (references, genes)."""
    trust: Floats
    """How much each of them is believed, by its depth, shape (references,)."""
    keys: list[Floats]
    """Embeddings of the gallery's spots, one array per member, each of shape (references, width)."""
    networks: list[PredictorNetwork]
    familiar: NoveltyReference
    """What the training tiles look like."""
    spatial: Floats
    """Place of each gene among all by how far it hangs together in space, from 0 to 1, shape (genes,)."""
    views: int = 1
    """How many parts of the descriptors, or all, the networks see in turn; their axes stand side by side."""
    weights: EnsembleWeights = field(default_factory=EnsembleWeights)
    intervals: Intervals | None = None
    """None where nothing was held out."""
    crops: Crops | None = None
    """Small pictures of the gallery's spots."""

    @property
    def pitch_um(self) -> float:
        """The training sections' median pitch, in which the context radii are counted."""
        return self.space.pitch_um

    def check(self, features: Held, centres_um: Wide) -> None:
        """Refuse tiles that this model cannot read.

        Raises `ModelError` if the descriptors are of another length; `SectionError` if a descriptor or
        position is not finite.
        """
        expected = len(self.space.descriptors[0])
        if features.ndim != 2 or features.shape[1] != expected or len(features) != len(centres_um):
            raise ModelError(
                f"descriptors of shape {features.shape} for {len(centres_um)} tiles do not fit a model of "
                f"{expected} descriptors",
                remedy="describe the tiles with the model's own encoder",
            )
        finite = all(np.isfinite(features[rows]).all() for rows in runs_of(features))
        if not (finite and np.isfinite(centres_um).all()):
            remedy = "leave these tiles out"
            raise SectionError("some descriptors or positions are not finite numbers", remedy=remedy)

    def read(
        self, features: Held, centres_um: Wide, slide: Floats | None = None, progress: Progress | None = None
    ) -> ImageInputs:
        """Look at tiles, of which `slide` may show the rest of theirs; see `InputSpace.runs`."""
        count, width = features.shape
        progress, total = progress or Progress(), count * (len(self.ridge) // width)
        reduced = room((count, self.components.shape[1] or width))
        linear = room((count, self.ridge.shape[1]))
        for number, rows, block in self.space.runs(features, centres_um, slide):
            progress.report("looking around tiles", number * count + rows.start, total)
            columns = slice(number * width, (number + 1) * width)
            linear[rows] = linear[rows] + block @ self.ridge[columns]
            part = project(block, self.components[columns], len(self.components))
            reduced[rows] = reduced[rows] + part
        return ImageInputs(reduced, linear, features, centres_um)

    def embed(self, inputs: ImageInputs, device: torch.device) -> Floats:
        """The image embeddings of all members side by side, shape (tiles, members × width)."""
        found = [self._embed(number, inputs, device).cpu().numpy() for number in range(len(self.networks))]
        for network in self.networks:
            network.to("cpu")
        return np.concatenate(found, axis=1)

    def _embed(self, number: int, inputs: ImageInputs, device: torch.device) -> torch.Tensor:
        """The image embeddings by one of the networks, of the view that it sees."""
        seen = inputs.reduced[:, seen_by(number, self.views, self.components.shape[1])]
        with torch.inference_mode():
            network = self.networks[number].to(device).eval()
            return network.embed_image(torch.from_numpy(np.ascontiguousarray(seen)).to(device))

    def partial_predictions(
        self, inputs: ImageInputs, device: torch.device
    ) -> tuple[PartialPredictions, Numbers]:
        """What each part predicts, in standardised expression, and the types that the gate reads."""
        regression: Floats = np.zeros((len(inputs.reduced), len(self.mean)), dtype=np.float32)
        gates: Floats = np.zeros((len(inputs.reduced), self.settings.types), dtype=np.float32)
        retrieved: list[Neighbours] = []
        for number, (network, keys) in enumerate(zip(self.networks, self.keys, strict=True)):
            embedding = self._embed(number, inputs, device)
            with torch.inference_mode():
                written, gate = network.regress(embedding)
            regression += written.cpu().numpy()
            gates += torch.softmax(gate, -1).cpu().numpy()
            network.to("cpu")
            retrieved.append(retrieve(embedding.cpu().numpy(), keys, MOST_NEIGHBOURS))
        regression = np.asarray(regression / len(self.networks), dtype=np.float32)
        linear = inputs.linear @ self.loadings
        parts = PartialPredictions(regression, linear, retrieved, self.values, self.trust)
        return parts, np.asarray(np.argmax(gates, axis=1), dtype=np.int64)

    def predict(
        self, inputs: ImageInputs, device: torch.device, progress: Progress | None = None
    ) -> TilePredictions:
        """Predict tiles, a run of them at a time."""
        every = runs_of(inputs.raw)
        standardised, parts = room((len(inputs.raw), len(self.mean))), []
        for rows in every:
            (progress or Progress()).report("predicting", rows.start, len(inputs.raw))
            told = self._predict(inputs[rows], device)
            standardised[rows] = np.asarray(told.expression)
            parts.append(replace(told, expression=np.array(told.expression[:0])))
        kept = min(part.evidence.shape[1] for part in parts)
        return TilePredictions(
            self.expression(standardised, inputs.centres_um),
            np.concatenate([part.evidence[:, :kept] for part in parts]),
            np.concatenate([part.shares[:, :kept] for part in parts]),
            np.concatenate([part.types for part in parts]),
            np.concatenate([part.novelty for part in parts]),
        )

    def _predict(self, inputs: ImageInputs, device: torch.device) -> TilePredictions:
        """Some of the tiles, their expression standardised as yet."""
        parts, types = self.partial_predictions(inputs, device)
        novelty = self.familiar.novelty(np.asarray(inputs.raw), np.asarray(inputs.reduced))
        evidence, shares = parts.evidence(self.weights)
        return TilePredictions(parts.weighed(self.weights), evidence, shares, types, novelty)

    def expression(self, standardised: Held, centres_um: Wide) -> Held:
        """From standardised to log expression, each gene as smooth as the weights say, never below 0."""
        share = self.weights.rough + (self.weights.smooth - self.weights.rough) * self.spatial
        out = room(standardised.shape)
        for rows, written in smoothed(standardised, centres_um, self.pitch_um, share):
            out[rows] = np.maximum(self.mean + self.deviation * written, 0)
        return out


def project(block: Floats, components: Floats, inputs: int) -> Floats:
    """Columns of the image input on its main axes; as they are where it is not reduced."""
    if not components.shape[1]:
        return block
    # One factor for all components keeps their proportions and brings them near 1.
    scale = np.sqrt(inputs / components.shape[1])
    return np.asarray(block @ components / scale, dtype=np.float32)


def seen_by(network: int, views: int, columns: int) -> slice:
    """The columns of the reduced image input that a network sees, by its number: those of one view."""
    width = columns // views
    return slice(network % views * width, (network % views + 1) * width) if width else slice(None)
