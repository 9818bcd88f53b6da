"""The functional graph: spots that express alike, wherever they lie.

Edges are weighted and differentiable, so that both projections learn; the threshold follows the graph
(a quantile of its own similarities); the degree is bounded; and the cost grows nearly linearly with the
number of spots, because candidates are sought in windows of nodes sorted along random directions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from histoscribe.errors import SettingError

_DIRECTIONS = 4


@dataclass(frozen=True, eq=False)
class FunctionalEdges:
    """A weighted graph of alike spots."""

    index: Tensor
    """Sources and targets, sorted by target; every node has its self-edge. Shape (2, edges)."""
    weight: Tensor
    """Similarity in (0, 1), differentiable in both projections; 1 on self-edges. Shape (edges,)."""


def functional_graph(
    key: Tensor,
    query: Tensor,
    types: Tensor,
    *,
    degree: int = 12,
    quantile: float = 0.5,
    temperature: float | Tensor = 0.25,
    type_share: float = 0.3,
    window: int = 1024,
    seed: int = 0,
) -> FunctionalEdges:
    """Join every spot to those whose learned similarity is highest.

    The similarity is ``(1 - type_share) · sigmoid(cos(query_i, key_j) / temperature) + type_share ·
    [t_i = t_j]``, after GR2ST, whose fixed mask is replaced by weights. Of a node's `degree` best candidates
    those above the `quantile` of all candidates stay.

    Parameters
    ----------
    key, query : Tensor, shape (spots, d)
        The two projections of the spots; key stands for the source, query for the target of an edge.
    types : Tensor of int64, shape (spots,)
        Spot types.
    degree : int
        The most edges into one spot, its self-edge not counted.
    quantile : float
        Share of the candidate edges that is dropped, in [0, 1).
    temperature : float or Tensor
        Scale of the cosine.
    type_share : float
        Share of the similarity that agreement of the types makes up.
    window : int
        Up to so many spots all pairs are compared; beyond, each spot is compared with the spots of
        its window in each of a few random orders.
    seed : int
        Of the random orders.

    Raises
    ------
    SettingError
        If the degree or the quantile is out of range.
    """
    if degree < 1 or not 0 <= quantile < 1:
        remedy = "choose a degree of at least 1 and a quantile from 0 up to but not including 1"
        raise SettingError(f"degree {degree} and quantile {quantile} are out of range", remedy=remedy)
    key = torch.nn.functional.normalize(key, dim=-1)
    query = torch.nn.functional.normalize(query, dim=-1)
    source, target = _candidates(key.detach(), query.detach(), types, degree, type_share, window, seed)
    cosine = (query[target] * key[source]).sum(-1)
    agreement = (types[source] == types[target]).to(cosine.dtype)
    weight = (1 - type_share) * torch.sigmoid(cosine / temperature) + type_share * agreement
    if len(weight):
        # torch.quantile refuses more than 16 million values
        rank = min(int(quantile * len(weight)), len(weight) - 1) + 1
        kept = weight.detach() >= torch.kthvalue(weight.detach(), rank).values
        source, target, weight = source[kept], target[kept], weight[kept]
    own = torch.arange(len(key), device=key.device)
    source, target = torch.cat([source, own]), torch.cat([target, own])
    weight = torch.cat([weight, torch.ones(len(key), dtype=weight.dtype, device=key.device)])
    order = torch.argsort(target * len(key) + source)
    return FunctionalEdges(torch.stack([source, target])[:, order], weight[order])


def _candidates(
    key: Tensor, query: Tensor, types: Tensor, degree: int, type_share: float, window: int, seed: int
) -> tuple[Tensor, Tensor]:
    """The best `degree` sources per target: exact for small graphs, by windows for large ones."""
    count = len(key)
    nodes = torch.arange(count, device=key.device)
    if count <= window:
        best, score = _best_within(key, query, types, nodes, degree, type_share)
    else:
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(key.shape[1], _DIRECTIONS, generator=generator).to(key)
        found, scores = [], []
        for direction in directions.T:
            # Type agreement shifts the order, so that alike spots of one type share a window.
            order = torch.argsort(key @ direction + types.to(key.dtype) * type_share)
            best = torch.empty((count, degree), dtype=torch.int64, device=key.device)
            score = torch.empty((count, degree), dtype=key.dtype, device=key.device)
            for start in range(0, count, window):
                start = min(start, count - window)
                block = order[start : start + window]
                best[block], score[block] = _best_within(key, query, types, block, degree, type_share)
            found.append(best)
            scores.append(score)
        best, score = _merge(torch.cat(found, 1), torch.cat(scores, 1), degree)
    target = nodes[:, None].expand_as(best)
    valid = torch.isfinite(score)
    return best[valid], target[valid]


def _best_within(
    key: Tensor, query: Tensor, types: Tensor, nodes: Tensor, degree: int, share: float
) -> tuple[Tensor, Tensor]:
    """Of each of some nodes the most alike others among them, and how alike they are."""
    score = query[nodes] @ key[nodes].T + share * (types[nodes][:, None] == types[nodes][None])
    score.fill_diagonal_(-torch.inf)
    top = torch.topk(score, min(degree, len(nodes)), dim=1)
    return nodes[top.indices], top.values


def _merge(best: Tensor, score: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Keep each row's `degree` highest scores, every source once."""
    order = torch.argsort(best, dim=1, stable=True)
    best, score = best.gather(1, order), score.gather(1, order)
    repeated = torch.zeros_like(best, dtype=torch.bool)
    repeated[:, 1:] = best[:, 1:] == best[:, :-1]
    top = torch.topk(score.masked_fill(repeated, -torch.inf), degree, dim=1)
    return best.gather(1, top.indices), top.values
