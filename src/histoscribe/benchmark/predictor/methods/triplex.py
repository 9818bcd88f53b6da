"""The TRIPLEX peer: a spot's tile, its 5 × 5 neighbourhood and the whole section, fused by attention.

After Chung et al., CVPR 2024, on given descriptors instead of trained image networks.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from histoscribe.arrays import Floats
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.predictor.peers import Example, peer, stacked
from histoscribe.benchmark.training import train_network

_EPOCHS = 40
_WIDTH = 128
_NEIGHBOURS = 25
_DISTILLED = 0.3


class Triplex(torch.nn.Module):
    """Three views of a spot, a head for each, and one for their fusion."""

    def __init__(self, features: int, genes: int) -> None:
        super().__init__()
        self.inputs = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Linear(features, _WIDTH), torch.nn.GELU(), torch.nn.Dropout(0.1))
            for _ in range(3)
        )
        self.place = torch.nn.Linear(2, _WIDTH)
        self.around = _layer()
        self.whole = _layer()
        self.ask_around = torch.nn.MultiheadAttention(_WIDTH, 4, dropout=0.1, batch_first=True)
        self.ask_whole = torch.nn.MultiheadAttention(_WIDTH, 4, dropout=0.1, batch_first=True)
        self.heads = torch.nn.ModuleList(torch.nn.Linear(_WIDTH, genes) for _ in range(4))

    def forward(self, features: Tensor, places: Tensor, near: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Predict (spots, genes) from the fusion, and from each of the three views."""
        target, beside, section = (layer(features) for layer in self.inputs)
        around = self.around(beside[near])
        whole = self.whole((section + self.place(places))[None])[0]
        asked_around = self.ask_around(whole[:, None], around, around)[0][:, 0]
        asked_target = self.ask_whole(whole[:, None], target[:, None], target[:, None])[0][:, 0]
        views = [head(view) for head, view in zip(self.heads, (target, around.mean(1), whole), strict=False)]
        return self.heads[3](whole + asked_around + asked_target + target), views


def triplex(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """Fused prediction; each view also learns from the truth and from the fusion."""

    def loss(network: torch.nn.Module, example: Example) -> Tensor:
        truth = torch.from_numpy(example.expression) - average
        fused, views = network(*_tensors(example))
        own = sum(functional.mse_loss(view, truth) for view in views)
        taught = sum(functional.mse_loss(view, fused.detach()) for view in views)
        total = functional.mse_loss(fused, truth) + (1 - _DISTILLED) * own + _DISTILLED * taught
        assert isinstance(total, Tensor)
        return total

    average = torch.from_numpy(stacked(train).mean(axis=0))
    sizes = train[0].features.shape[1], train[0].expression.shape[1]
    network = train_network(lambda: Triplex(*sizes), loss, train, seed=seed, epochs=_EPOCHS)
    with torch.no_grad():
        predictions = [network(*_tensors(test))[0] + average for test in tests]
    return [np.asarray(prediction.numpy(), dtype=np.float32) for prediction in predictions]


def _layer() -> torch.nn.TransformerEncoderLayer:
    return torch.nn.TransformerEncoderLayer(_WIDTH, 4, 2 * _WIDTH, dropout=0.1, batch_first=True)


def _tensors(example: Example) -> tuple[Tensor, Tensor, Tensor]:
    count = min(_NEIGHBOURS, len(example.places))
    near = cKDTree(example.places).query(example.places, count)[1].reshape(-1, count)
    return torch.from_numpy(example.features), torch.from_numpy(example.places), torch.from_numpy(near)


METHODS = (Method("triplex", ("predictor",), peer(triplex)),)
