"""What training makes small: contrastive agreement, regression error, and the gate's mistakes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_contrastive(image: Tensor, spot: Tensor, likeness: Tensor, temperature: Tensor | float) -> Tensor:
    """Symmetric cross-entropy between image and spot embeddings with soft targets.

    Neighbouring spots are near-identical, so the target of a row is spread over the spots that are alike
    (softmax of `likeness`) instead of being the spot itself alone.

    Parameters
    ----------
    image, spot : Tensor, shape (spots, d)
        Normalised here.
    likeness : Tensor, shape (spots, spots)
        Symmetric, without gradient; larger is more alike.
    temperature : Tensor or float
        Divides the cosines.
    """
    logits = F.normalize(image, dim=-1) @ F.normalize(spot, dim=-1).T / temperature
    target = torch.softmax(likeness, dim=-1)
    rows = -(target * torch.log_softmax(logits, dim=-1)).sum(-1).mean()
    columns = -(target * torch.log_softmax(logits.T, dim=-1)).sum(-1).mean()
    return 0.5 * (rows + columns)


def one_hot_contrastive(image: Tensor, spot: Tensor) -> Tensor:
    """The published loss: unscaled products, one-hot targets, temperature 1."""
    logits = image @ spot.T
    target = torch.arange(len(logits), device=logits.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def attention_entropy(weights: Tensor, target: Tensor, nodes: int) -> Tensor:
    """Mean entropy of the attention that each node pays to its neighbours.

    Parameters
    ----------
    weights : Tensor, shape (edges, heads)
        Attention, summing to 1 over the edges into one node.
    target : Tensor of int64, shape (edges,)
    nodes : int
    """
    terms = -(weights * torch.log(weights.clamp_min(1e-8))).mean(-1)
    return torch.zeros(nodes, dtype=terms.dtype, device=terms.device).index_add(0, target, terms).mean()
