"""The default network: GR2ST with its faults repaired.

Two branches meet in one embedding space. The image branch sees a spot's descriptors and their context. The
spot branch, used in training only, sees expression, place and type, and may look along graphs. From the image
embedding, experts mixed by a gate that knows the spot types write the expression.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from histoscribe.graphs import functional_graph
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.training.batches import SpotBatch
from histoscribe.predictor.variants.variant import PredictorNetwork, ProjectionHead, Variant

if TYPE_CHECKING:
    from histoscribe.models.training import Optimisation

_PERIODS = (4.0, 8.0, 16.0, 32.0)
_RANK, _INPUT_DROPOUT = 32, 0.2
_ERROR_SHARE = 5.0
_GATE_SHARE = 0.1
_LIKENESS = 10.0
_ONE_HOT = 1e4


class GuidedExperts(nn.Module):
    """Experts on the image embedding, mixed by a gate that is taught the spot types.

    They write a few components, from which one shared matrix makes the genes: neighbouring genes share their
    evidence.
    """

    def __init__(self, genes: int, settings: PredictorSettings) -> None:
        super().__init__()
        width, self.types = settings.width, settings.types
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(settings.dropout))
        self.experts = nn.Linear(width, self.types * _RANK)
        self.decode = nn.Linear(_RANK, genes)
        self.gate = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, self.types))

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(n, width) → expression (n, genes) and gate logits (n, types)."""
        logits = self.gate(embedding)
        answers = self.experts(self.hidden(embedding)).unflatten(-1, (self.types, -1))
        mixed = (torch.softmax(logits, -1).unsqueeze(-1) * answers).sum(1)
        return self.decode(mixed), logits


class SpotBranch(nn.Module):
    """Expression, place and type of spots → embeddings, along the graphs of `GRAPHS` that are asked for."""

    def __init__(self, genes: int, settings: PredictorSettings) -> None:
        super().__init__()
        width, heads, types = settings.width, settings.heads, settings.types
        self.expression_in = nn.Linear(genes, width)
        self.place_in = nn.Linear(4 * len(_PERIODS), width)
        self.type_in = nn.Embedding(types, width, _weight=torch.empty(types, width))
        if not self.type_in.weight.is_meta:  # a draw of shapes alone would import PyTorch's compiler
            nn.init.normal_(self.type_in.weight)
        self.norm = nn.LayerNorm(width)
        each = width // heads
        self.looks = nn.ModuleDict()
        if settings.graphs:
            from torch_geometric.nn import GATConv  # takes longer to import than torch itself

            for name in settings.graphs:
                self.looks[name] = GATConv(width, each, heads=heads, add_self_loops=False, edge_dim=1)
        if "functional" in self.looks:
            self.key, self.query = nn.Linear(width, width), nn.Linear(width, width)
            self.log_sharpness = nn.Parameter(torch.tensor(math.log(4.0)))
        self.fuse = nn.Sequential(nn.GELU(), nn.LayerNorm(width), nn.Dropout(settings.dropout))
        self.head = ProjectionHead(width, width, settings.dropout)

    def forward(self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor) -> Tensor:
        """Expression (n, genes), places (n, 2) in pitches, types (n,), spatial (2, e) → (n, width)."""
        joined = spot = self._spot(expression, places, types)
        for name, (index, weight) in self._graphs(spot, types, spatial).items():
            joined = joined + self.looks[name](spot, index, edge_attr=weight)
        out: Tensor = self.head(self.fuse(joined))
        return out

    def attend(
        self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each graph the edges (2, e) and the attention along them (e,), the mean over heads."""
        spot = self._spot(expression, places, types)
        found = {}
        for name, (index, weight) in self._graphs(spot, types, spatial).items():
            look = self.looks[name](spot, index, edge_attr=weight, return_attention_weights=True)[1]
            found[name] = look[0], look[1].mean(-1)
        return found

    def _spot(self, expression: Tensor, places: Tensor, types: Tensor) -> Tensor:
        spot = self.expression_in(expression) + self.type_in(types) + self.place_in(place_code(places))
        normed: Tensor = self.norm(spot)
        return normed

    def _graphs(self, spot: Tensor, types: Tensor, spatial: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Edges (2, e) and their weights (e, 1): those of neighbours are 1."""
        found = {}
        if "spatial" in self.looks:
            found["spatial"] = spatial, spot.new_ones(spatial.shape[1], 1)
        if "functional" in self.looks:
            sharpness = self.log_sharpness.exp().clamp(max=20.0)
            edges = functional_graph(self.key(spot), self.query(spot), types, temperature=1.0 / sharpness)
            found["functional"] = edges.index, edges.weight[:, None]
        return found


class HistoscribeNetwork(PredictorNetwork):
    """Image branch, spot branch and guided experts; `inputs`: length of the image input."""

    def __init__(self, inputs: int, genes: int, settings: PredictorSettings) -> None:
        super().__init__()
        self.image_in = nn.Dropout(_INPUT_DROPOUT)
        self.image_head = ProjectionHead(inputs, settings.width, settings.dropout)
        self.spot_branch = SpotBranch(genes, settings)
        self.experts = GuidedExperts(genes, settings)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    @property
    def temperature(self) -> Tensor:
        """The learned temperature of the contrastive loss, at least 0.01."""
        return torch.exp(-self.log_scale).clamp(0.01, 1.0)

    def embed_image(self, features: Tensor) -> Tensor:
        """Image input (n, inputs) → (n, width)."""
        out: Tensor = self.image_head(self.image_in(features))
        return out

    def embed_spots(self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor) -> Tensor:
        """The spot branch without its graph; see `SpotBranch.forward`."""
        embedded: Tensor = self.spot_branch(expression, places, types, spatial)
        return embedded

    def regress(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Image embedding (n, width) → standardised expression (n, genes), gate logits (n, types)."""
        expression, gate = self.experts(embedding)
        return expression, gate


class HistoscribeVariant(Variant[HistoscribeNetwork]):
    """Soft contrastive agreement + regression error + the gate's cross-entropy; AdamW, one cycle."""

    name = "histoscribe"
    clip = 5.0

    def network(self, settings: PredictorSettings, inputs: int, genes: int) -> HistoscribeNetwork:
        """See `HistoscribeNetwork`."""
        return HistoscribeNetwork(inputs, genes, settings)

    def loss(self, network: HistoscribeNetwork, batch: SpotBatch, settings: PredictorSettings) -> Tensor:
        """Spots that are alike may be taken for each other; deep spots count more in the error."""
        image = network.embed_image(batch.features)
        spot = network.embed_spots(batch.expression, batch.places, batch.types, batch.spatial)
        expression, gate = network.regress(image)
        alike = F.normalize(batch.expression, dim=-1)
        likeness = _LIKENESS * alike @ alike.T
        if "soft targets" in settings.without:
            likeness = _ONE_HOT * torch.eye(len(alike), device=alike.device)
        agreement = soft_contrastive(image, spot, likeness, network.temperature)
        squares = (expression - batch.expression).square().mean(-1)
        error = (batch.trust * squares).sum() / batch.trust.sum()
        return agreement + _ERROR_SHARE * error + _GATE_SHARE * F.cross_entropy(gate, batch.types)

    def optimise(self, network: HistoscribeNetwork, settings: PredictorSettings, steps: int) -> Optimisation:
        """AdamW whose rate rises over a tenth of the steps and then falls to nothing."""
        rate, steps = settings.learning_rate, max(steps, 2)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=rate, weight_decay=settings.weight_decay, foreach=True
        )
        # OneCycleLR divides by the length of the rise less one step: a single step may not be all of it.
        rise = 0.2 if steps == 10 else 0.1
        return optimiser, torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=rate, total_steps=steps, pct_start=rise
        )

    def attention(self, network: HistoscribeNetwork, batch: SpotBatch) -> dict[str, tuple[Tensor, Tensor]]:
        """Along the graphs that it was trained with."""
        return network.spot_branch.attend(batch.expression, batch.places, batch.types, batch.spatial)


VARIANT = HistoscribeVariant()


def soft_contrastive(image: Tensor, spot: Tensor, likeness: Tensor, temperature: Tensor | float) -> Tensor:
    """Symmetric cross-entropy between image and spot embeddings with soft targets.

    Neighbouring spots are near-identical, so the target of a row is spread over the spots that are alike
    (softmax of `likeness`) instead of being the spot itself alone.

    `image` and `spot` (spots, d): normalised here. `likeness` (spots, spots): symmetric, without gradient;
    larger is more alike. `temperature`: divides the cosines.
    """
    logits = F.normalize(image, dim=-1) @ F.normalize(spot, dim=-1).T / temperature
    target = torch.softmax(likeness, dim=-1)
    rows = -(target * torch.log_softmax(logits, dim=-1)).sum(-1).mean()
    columns = -(target * torch.log_softmax(logits.T, dim=-1)).sum(-1).mean()
    return 0.5 * (rows + columns)


def place_code(places: Tensor) -> Tensor:
    """Sines and cosines of places (n, 2) in pitches, at four periods: (n, 16)."""
    periods = torch.tensor(_PERIODS, dtype=places.dtype, device=places.device)
    angles = (2 * math.pi * places[:, :, None] / periods).flatten(1)
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
