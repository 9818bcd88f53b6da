"""Attribution: which tiles and which descriptors a gene was read from.

Gradient times input (Shrikumar et al. 2016) through the whole ensemble: ridge, networks and
retrieval. Inputs are z-scores of the slide, so what is attributed is why a tile differs from its slide.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from histoscribe.arrays import Floats, Wide
from histoscribe.errors import TableError
from histoscribe.graphs import spatial_graph
from histoscribe.predictor.model import FittedPredictor, seen_by
from histoscribe.predictor.predictor import Predictor
from histoscribe.predictor.retrieval.gallery import retrieve
from histoscribe.progress import Progress

_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Attribution:
    """Where the prediction of one gene comes from."""

    gene: str
    reaches: tuple[str, ...]
    """`own tile`, then `within R pitches` for each context radius."""
    by_reach: Floats
    """What each reach brings to the tile's log expression, each of shape (tiles, reaches)."""
    by_descriptor: Floats
    """What each descriptor brings, over all reaches, shape (tiles, d)."""
    gradient: Floats
    """Change of log expression per unit of each input; units of the section, then of training. Each of shape
    (tiles, units, reaches, d)."""
    plain: Floats
    """Z-scored descriptors, shape (tiles, units, d)."""
    centres_um: Wide
    pitch_um: float
    radii: tuple[float, ...]

    def strongest(self, names: tuple[str, ...], count: int = 10) -> list[tuple[str, float]]:
        """The descriptors that move the gene most, by mean absolute contribution, with their names."""
        strength = np.abs(self.by_descriptor).mean(axis=0)
        order = np.argsort(-strength, kind="stable")[:count]
        return [(names[place], float(strength[place])) for place in order]

    def tiles_behind(self, tile: int) -> Floats:
        """What every tile brought to the prediction of one tile, shape (tiles,).

        A context value is the mean of its neighbours', so its contribution is shared among them by what each
        has of the descriptors in question; the context's own scale is taken for 1.
        """
        brought = np.zeros(len(self.plain), dtype=np.float32)
        brought[tile] = (self.plain[tile] * self.gradient[tile, :, 0]).sum()
        for number, radius in enumerate(self.radii, start=1):
            source, target = spatial_graph(self.centres_um, self.pitch_um, radius=radius)
            near = source[target == tile]
            brought[near] += (self.plain[near] * self.gradient[tile, :, number]).sum(axis=(1, 2)) / len(near)
        return brought


def attribute(
    predictor: Predictor,
    features: Floats,
    centres_um: Wide,
    gene: str,
    *,
    slide: Floats | None = None,
    progress: Progress | None = None,
) -> Attribution:
    """Explain one gene on described tiles.

    Parameters
    ----------
    features : ndarray, shape (tiles, d)
    centres_um : ndarray, shape (tiles, 2)
    slide : ndarray, shape (other tiles, d), optional
        Descriptors of tiles all over the slide, where the tiles are a part of it, as in `Predictor.predict`.

    Raises
    ------
    TableError
        If the predictor does not know the gene.
    Cancelled
        If the progress was cancelled.
    """
    if gene not in predictor.genes:
        remedy = f"choose one of {len(predictor.genes)} others"
        raise TableError(f"this predictor does not predict {gene}", remedy=remedy)
    fitted, column = predictor.fitted, predictor.genes.index(gene)
    progress = progress or Progress()
    seen = fitted.space.whole(np.asarray(features, dtype=np.float32), centres_um, slide)
    flat = seen.reshape(len(seen), -1)
    gradients = []
    for start in range(0, len(features), _CHUNK):
        progress.report(f"tracing {gene}", start, len(features))
        inputs = torch.tensor(flat[start : start + _CHUNK], requires_grad=True)
        told = _one_gene(fitted, inputs, column)
        gradients.append(torch.autograd.grad(told.sum(), inputs)[0].numpy())
    radii = fitted.settings.reaches
    shape = (len(features), -1, 1 + len(radii), features.shape[1])
    gradient = (np.concatenate(gradients) * fitted.deviation[column]).astype(np.float32).reshape(shape)
    seen = seen.reshape(shape)
    brought = (gradient * seen).sum(axis=1)
    reaches = ("own tile", *(f"within {radius:g} pitches" for radius in radii))
    sums, plain = (brought.sum(axis=2), brought.sum(axis=1)), seen[:, :, 0]
    return Attribution(gene, reaches, *sums, gradient, plain, centres_um, fitted.pitch_um, radii)


def _one_gene(fitted: FittedPredictor, inputs: Tensor, column: int) -> Tensor:
    """The ensemble's standardised prediction of one gene, differentiable in its inputs (tiles, inputs)."""
    weights, loadings = fitted.weights, torch.from_numpy(fitted.loadings[:, column].copy())
    components = torch.from_numpy(fitted.components)
    reduced = inputs
    if components.shape[1]:
        reduced = inputs @ components / float(np.sqrt(len(components) / components.shape[1]))
    total = weights.linear * (inputs @ (torch.from_numpy(fitted.ridge) @ loadings))
    values, trust = torch.from_numpy(fitted.values[:, column].copy()), torch.from_numpy(fitted.trust)
    for number, (network, keys) in enumerate(zip(fitted.networks, fitted.keys, strict=True)):
        network.eval()
        share = 1 / len(fitted.networks)
        embedding = network.embed_image(reduced[:, seen_by(number, fitted.views, components.shape[1])])
        total = total + share * weights.regression * network.regress(embedding)[0][:, column]
        index = torch.from_numpy(retrieve(embedding.detach().numpy(), keys, weights.neighbours).index)
        known = F.normalize(torch.from_numpy(keys), dim=-1)[index]
        cosine = (F.normalize(embedding, dim=-1)[:, None] * known).sum(-1)
        trusted = torch.softmax(cosine / weights.temperature, dim=1) * trust[index]
        trusted = trusted / trusted.sum(dim=1, keepdim=True)
        total = total + share * weights.retrieval * (trusted * values[index]).sum(dim=1)
    return total
