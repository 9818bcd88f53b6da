"""Attention maps: along both graphs, which tiles a tile looks at.

The graphs belong to the spot branch, which reads expression. On a slide without any they are laid over what
the predictor wrote, so the maps show how the model relates tiles to each other, not what was measured.
"""

from dataclasses import dataclass

import numpy as np
import torch

from histoscribe.arrays import Floats, Mask, Numbers, Wide
from histoscribe.predictor.model import FittedPredictor
from histoscribe.predictor.training.batches import SpotBatches, TrainingSpots
from histoscribe.predictor.variants.variant import variant_named
from histoscribe.rows import Held


@dataclass(frozen=True, eq=False)
class Attention:
    """One graph's attention."""

    edges: Numbers
    """From the tile that is looked at (0) to the tile that looks (1), shape (2, edges)."""
    weights: Floats
    """They sum to 1 over the edges into one tile, shape (edges,)."""
    tiles: int

    def received(self) -> Floats:
        """How much all other tiles look at each tile, shape (tiles,)."""
        return self._sum(self.edges[0] != self.edges[1])

    def of(self, tile: int) -> Floats:
        """How much one tile looks at each tile, shape (tiles,)."""
        return self._sum(self.edges[1] == tile)

    def _sum(self, edges: Mask) -> Floats:
        seen = np.bincount(self.edges[0, edges], self.weights[edges], minlength=self.tiles)
        return np.asarray(seen, dtype=np.float32)


def attention_maps(
    fitted: FittedPredictor, expression: Held, centres_um: Wide, types: Numbers, pitch_um: float
) -> dict[str, Attention]:
    """Lay both graphs over predicted tiles.

    Large slides are cut into pieces as in training; no edge joins two pieces.

    Parameters
    ----------
    expression : ndarray of float32, shape (tiles, genes)
        Predicted log expression.
    centres_um : ndarray, shape (tiles, 2)
    types : ndarray of int64, shape (tiles,)
    pitch_um : float
        Of the tiles: the spatial graph joins neighbours.

    Returns
    -------
    dict
        `spatial` and `functional`, where the model was trained with them; empty for the published form, whose
        graphs need array positions.
    """
    if not fitted.settings.graphs:
        return {}
    variant = variant_named(fitted.settings.variant)
    places = (centres_um - centres_um.mean(axis=0)) / pitch_um
    count = len(expression)
    blank, alike = np.zeros((count, 1), dtype=np.float32), np.ones(count, dtype=np.float32)
    standard = ((np.asarray(expression) - fitted.mean) / fitted.deviation).astype(np.float32)
    numbers = np.arange(count, dtype=np.int64)
    spots = TrainingSpots(blank, standard, places.astype(np.float32), types, numbers, alike)
    found: dict[str, list[tuple[Numbers, Floats]]] = {}
    with torch.inference_mode():
        for batch in SpotBatches([spots], fitted.settings.batch_spots, radius=variant.radius):
            numbers = batch.numbers.numpy()
            looks = variant.attention(fitted.networks[0], batch)
            for name, (edges, weights) in looks.items():
                found.setdefault(name, []).append((numbers[edges.numpy()], weights.numpy()))
    joined = {name: zip(*parts, strict=True) for name, parts in found.items()}
    return {
        name: Attention(np.hstack(edges), np.hstack(weights), count)
        for name, (edges, weights) in joined.items()
    }
