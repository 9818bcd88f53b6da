"""The default network: GR2ST with its faults repaired.

Two branches meet in one embedding space. The image branch sees a spot's descriptors and their context. The
spot branch, used in training only, sees expression, place and type through both graphs. From the image
embedding, experts mixed by a gate that knows the spot types write the expression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv

from histoscribe.graphs import FunctionalEdges, functional_graph
from histoscribe.predictor.published import ProjectionHead

_PERIODS = (4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """What one forward pass gives.

    `image` and `spot` are embeddings (n, width); `expression` is standardised (n, genes); `gate` holds the
    logits over types (n, types); `edges` the functional graph.
    """

    image: Tensor
    spot: Tensor
    expression: Tensor
    gate: Tensor
    edges: FunctionalEdges


class GuidedExperts(nn.Module):
    """Experts on the image embedding, mixed by a gate that is taught the spot types.

    Parameters
    ----------
    width, genes, types : int
        Lengths of the embedding and the output, and the number of experts.
    rank : int
        The experts write so many components, from which one shared matrix makes the genes: neighbouring
        genes share their evidence.
    dropout : float
    """

    def __init__(self, width: int, genes: int, types: int, rank: int, dropout: float) -> None:
        super().__init__()
        self.types = types
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))
        self.experts = nn.Linear(width, types * rank)
        self.decode = nn.Linear(rank, genes)
        self.gate = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, types))

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(n, width) → expression (n, genes) and gate logits (n, types)."""
        logits = self.gate(embedding)
        answers = self.experts(self.hidden(embedding)).unflatten(-1, (self.types, -1))
        mixed = (torch.softmax(logits, -1).unsqueeze(-1) * answers).sum(1)
        return self.decode(mixed), logits


class SpotBranch(nn.Module):
    """Expression, place and type of spots → embeddings, through the spatial and the functional graph."""

    def __init__(
        self,
        genes: int,
        types: int,
        width: int,
        heads: int,
        dropout: float,
        spatial_graph: bool,
        functional_graph: bool,
    ) -> None:
        super().__init__()
        self.uses = (spatial_graph, functional_graph)
        self.expression_in = nn.Linear(genes, width)
        self.place_in = nn.Linear(4 * len(_PERIODS), width)
        self.type_in = nn.Embedding(types, width)
        self.norm = nn.LayerNorm(width)
        self.key, self.query = nn.Linear(width, width), nn.Linear(width, width)
        each = width // heads
        self.spatial = GATConv(width, each, heads=heads, add_self_loops=False)
        self.functional = GATConv(width, each, heads=heads, add_self_loops=False, edge_dim=1)
        self.fuse = nn.Sequential(nn.GELU(), nn.LayerNorm(width), nn.Dropout(dropout))
        self.head = ProjectionHead(width, width, dropout)
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(4.0)))

    def forward(
        self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor
    ) -> tuple[Tensor, FunctionalEdges]:
        """Expression (n, genes), places (n, 2) in pitches, types (n,), spatial (2, e) → (n, width)."""
        spot, edges = self._joined(expression, places, types)
        joined = spot
        if self.uses[0]:
            joined = joined + self.spatial(spot, spatial)
        if self.uses[1]:
            joined = joined + self.functional(spot, edges.index, edge_attr=edges.weight[:, None])
        return self.head(self.fuse(joined)), edges

    def attend(
        self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Edges (2, e) and attention (e,), the mean over heads, of the spatial and the functional graph."""
        spot, edges = self._joined(expression, places, types)
        near = self.spatial(spot, spatial, return_attention_weights=True)[1]
        weight = edges.weight[:, None]
        alike = self.functional(spot, edges.index, edge_attr=weight, return_attention_weights=True)[1]
        return (near[0], near[1].mean(-1)), (alike[0], alike[1].mean(-1))

    def _joined(self, expression: Tensor, places: Tensor, types: Tensor) -> tuple[Tensor, FunctionalEdges]:
        spot = self.expression_in(expression) + self.type_in(types) + self.place_in(place_code(places))
        spot = self.norm(spot)
        sharpness = self.log_sharpness.exp().clamp(max=20.0)
        return spot, functional_graph(self.key(spot), self.query(spot), types, temperature=1.0 / sharpness)


class Network(nn.Module):
    """Image branch, spot branch and guided experts.

    Parameters
    ----------
    inputs : int
        Length of the image input (descriptors and context).
    genes, types : int
    width : int
        Length of the embeddings.
    heads : int
        Attention heads per graph.
    rank : int
        Components that the experts write.
    dropout, input_dropout : float
    spatial_graph, functional_graph : bool
        Whether the spot branch looks along each graph.
    """

    def __init__(
        self,
        inputs: int,
        genes: int,
        types: int,
        *,
        width: int = 256,
        heads: int = 4,
        rank: int = 32,
        dropout: float = 0.2,
        input_dropout: float = 0.2,
        spatial_graph: bool = True,
        functional_graph: bool = True,
    ) -> None:
        super().__init__()
        self.image_in = nn.Dropout(input_dropout)
        self.image_head = ProjectionHead(inputs, width, dropout)
        self.spot_branch = SpotBranch(genes, types, width, heads, dropout, spatial_graph, functional_graph)
        self.experts = GuidedExperts(width, genes, types, rank, dropout)
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
        embedded: Tensor = self.spot_branch(expression, places, types, spatial)[0]
        return embedded

    def regress(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Image embedding (n, width) → standardised expression (n, genes), gate logits (n, types)."""
        expression, gate = self.experts(embedding)
        return expression, gate

    def forward(
        self, features: Tensor, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor
    ) -> NetworkOutput:
        """Both branches of a batch of spots."""
        image = self.embed_image(features)
        spot, edges = self.spot_branch(expression, places, types, spatial)
        regressed, gate = self.experts(image)
        return NetworkOutput(image, spot, regressed, gate, edges)


def place_code(places: Tensor) -> Tensor:
    """Sines and cosines of places (n, 2) in pitches, at four periods: (n, 16)."""
    periods = torch.tensor(_PERIODS, dtype=places.dtype, device=places.device)
    angles = (2 * math.pi * places[:, :, None] / periods).flatten(1)
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
