"""GR2ST as published (Zhou et al., Bioinformatics 42(5), 2026, btag209), faults included.

Kept so that the paper can be reproduced and compared with; `variants.histoscribe` is the repaired form. The
dense functional mask costs memory quadratic in the spots of a section, and its second projection never
learns. It joins up to half of all pairs of spots, so attention is computed over the pairs, not edge by edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from histoscribe.arrays import Floats, Wide
from histoscribe.predictor.ensemble import EnsembleWeights
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.training.batches import SpotBatch
from histoscribe.predictor.variants.variant import PredictorNetwork, ProjectionHead, Variant

if TYPE_CHECKING:
    from torch_geometric.nn import GATConv

    from histoscribe.models.training import Optimisation

TYPES = 6
MAX_PLACE = 512


class PublishedNetwork(PredictorNetwork):
    """Image branch, spot branch with both graphs, and the experts with their gate.

    `inputs`: length of an image feature; `width`: length of the embeddings; `heads`: attention heads per
    graph.
    """

    def __init__(
        self, inputs: int, genes: int, *, width: int = 256, heads: int = 8, dropout: float = 0.1
    ) -> None:
        super().__init__()
        from torch_geometric.nn import GATConv  # takes longer to import than torch itself

        self.image_head = ProjectionHead(inputs, width, dropout)
        self.row_code = nn.Embedding(MAX_PLACE, genes)
        self.column_code = nn.Embedding(MAX_PLACE, genes)
        half = max(genes // 2, 1)
        code = nn.Linear(TYPES, half), nn.ReLU(), nn.Linear(half, genes)
        self.type_code = nn.Sequential(*code, nn.LayerNorm(genes), nn.Dropout(dropout))
        self.key, self.query = nn.Linear(genes, width), nn.Linear(genes, width)
        self.spot_in = nn.Linear(genes, width)
        self.spatial = GATConv(width, width, heads=heads, add_self_loops=False)
        self.functional = GATConv(width, width, heads=heads, add_self_loops=False)
        self.fuse = nn.Sequential(
            nn.Linear(heads * width, width), nn.ReLU(), nn.LayerNorm(width), nn.Dropout(dropout)
        )
        self.spot_head = ProjectionHead(width, width, dropout)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, genes))
            for _ in range(TYPES)
        )
        self.gate = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, TYPES))

    def embed_image(self, features: Tensor) -> Tensor:
        """(n, inputs) → (n, width)."""
        out: Tensor = self.image_head(features)
        return out

    def regress(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(n, width) → expression (n, genes) and gate logits (n, 6)."""
        logits = self.gate(embedding)
        answers = torch.stack([expert(embedding) for expert in self.experts], dim=1)
        return (torch.softmax(logits, -1).unsqueeze(-1) * answers).sum(1), logits

    def embed_spots(self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor) -> Tensor:
        """Expression (n, genes), array places (n, 2), types (n,), spatial edges (2, e) → (n, width)."""
        return self.attended(expression, places, types, spatial)[0]

    def attended(
        self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """`embed_spots`, and of both graphs the attention (edges, heads) and the spots that look (edges,)."""
        kinds = nn.functional.one_hot(types, TYPES).to(expression.dtype)
        places = places.long().clamp(0, MAX_PLACE - 1)
        spot = expression + self.row_code(places[:, 0]) + self.column_code(places[:, 1])
        spot = spot + self.type_code(kinds)
        near = torch.zeros(len(spot), len(spot), dtype=torch.bool, device=spot.device)
        near[spatial[1], spatial[0]] = True
        alike = functional_mask(self.key(spot), self.query(spot), types)
        hidden = self.spot_in(spot)
        branches, attention = [], []
        for layer, mask in ((self.spatial, near), (self.functional, alike)):
            out, weights = attend(layer, hidden, mask)
            branches.append(out)
            attention.append((weights, mask.nonzero()[:, 0]))
        return self.spot_head(self.fuse(branches[0] + branches[1])), attention


class PublishedVariant(Variant[PublishedNetwork]):
    """One-hot contrastive + 50·MSE + gate cross-entropy + 0.01·attention entropy; Adam at a constant rate."""

    name = "published"
    defaults: ClassVar[Mapping[str, Any]] = {
        "epochs": 100,
        "members": 1,
        "radii": (),
        "units": ("section",),
        "components": 0,
        "width": 256,
        "heads": 8,
        "types": TYPES,
        "dropout": 0.1,
        "learning_rate": 1e-4,
        "weight_decay": 1e-3,
    }
    radius = 2.999
    joins_sections = False
    standardises = False
    weighs_spots = False
    has_ridge = False
    weights = EnsembleWeights(retrieval=0.4, regression=0.6, linear=0.0, neighbours=200, temperature=1.0)

    def network(self, settings: PredictorSettings, inputs: int, genes: int) -> PublishedNetwork:
        """See `PublishedNetwork`."""
        return PublishedNetwork(
            inputs, genes, width=settings.width, heads=settings.heads, dropout=settings.dropout
        )

    def loss(self, network: PublishedNetwork, batch: SpotBatch, settings: PredictorSettings) -> Tensor:
        """The sum of four."""
        image = network.embed_image(batch.features)
        spot, attention = network.attended(batch.expression, batch.places, batch.types, batch.spatial)
        expression, gate = network.regress(image)
        entropy = sum(
            (attention_entropy(weights, target, len(image)) for weights, target in attention),
            start=torch.zeros((), device=image.device),
        )
        return (
            one_hot_contrastive(image, spot)
            + 50.0 * F.mse_loss(expression, batch.expression)
            + F.cross_entropy(gate, batch.types)
            + 0.01 * entropy
        )

    def optimise(self, network: PublishedNetwork, settings: PredictorSettings, steps: int) -> Optimisation:
        """Adam."""
        rate, decay = settings.learning_rate, settings.weight_decay
        return torch.optim.Adam(network.parameters(), lr=rate, weight_decay=decay), None

    def places(self, places: Wide) -> Floats:
        """Positions on the array, counted from the section's corner."""
        return np.asarray(np.rint(places - places.min(axis=0)), dtype=np.float32)


VARIANT = PublishedVariant()


def one_hot_contrastive(image: Tensor, spot: Tensor) -> Tensor:
    """The published loss: unscaled products, one-hot targets, temperature 1."""
    logits = image @ spot.T
    target = torch.arange(len(logits), device=logits.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def attention_entropy(weights: Tensor, target: Tensor, nodes: int) -> Tensor:
    """Mean entropy of the attention that each node pays to its neighbours.

    `weights` (edges, heads): attention, summing to 1 over the edges into one node; `target` (edges,).
    """
    terms = -(weights * torch.log(weights.clamp_min(1e-8))).mean(-1)
    return torch.zeros(nodes, dtype=terms.dtype, device=terms.device).index_add(0, target, terms).mean()


def functional_mask(key: Tensor, query: Tensor, types: Tensor, threshold: float = 0.6) -> Tensor:
    """Where 0.7·sigmoid(hᵢ·uⱼ) + 0.3·[same type] exceeds the threshold, self-edges kept.

    Returns (n, n): row i holds the spots j that spot i looks at.
    """
    same = types[:, None] == types[None]
    mask = 0.7 * torch.sigmoid(key @ query.T) + 0.3 * same > threshold
    return mask.fill_diagonal_(True)


def attend(layer: GATConv, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What `layer` gives along the edges of `mask`, with the products of all pairs at once.

    The same sums as `layer(hidden, edges)`, which copies heads × width numbers for every edge: on a section
    of 379 spots, with tens of thousands of functional edges, seven seconds a step instead of half a one.

    `layer`: without dropout of its attention and without edge attributes; `hidden` (n, inputs); `mask` (n,
    n): row i holds the spots j that spot i looks at, at least one. Returns (n, heads · width); (edges,
    heads): attention, edges in the order of `mask.nonzero()`.
    """
    values = layer.lin(hidden).unflatten(-1, (layer.heads, -1))
    looked, looking = ((values * weight).sum(-1).T for weight in (layer.att_src, layer.att_dst))
    logits = nn.functional.leaky_relu(looking[:, :, None] + looked[:, None], layer.negative_slope)
    attention = torch.softmax(logits.masked_fill(~mask, -torch.inf), -1)
    out = (attention @ values.transpose(0, 1)).transpose(0, 1).flatten(1) + layer.bias
    return out, attention[:, mask].T
