"""The BrST-Net peer: a network trained end to end on the pixels, with an auxiliary network.

After Rahaman et al., Journal of Biomedical Informatics 2023, with a small convolutional network in place of
a pretrained one. The main head writes the panel from the last layer; the auxiliary head writes it from an
earlier one, at a lower weight.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from histoscribe.arrays import Floats
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.predictor.peers import Example, peer, stacked
from histoscribe.benchmark.training import train_network

CROP_UM = 224.0
SIDE = 64
_EPOCHS = 15
_BATCH = 64
_AUXILIARY = 0.3


class BrstNet(torch.nn.Module):
    """Four convolutions with a head on the last, and an auxiliary head on the third."""

    def __init__(self, genes: int) -> None:
        super().__init__()
        self.early = torch.nn.Sequential(_stage(3, 24), _stage(24, 48), _stage(48, 96))
        self.late = _stage(96, 192)
        self.main = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Linear(192, genes))
        self.auxiliary = torch.nn.Linear(96, genes)

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Tiles (n, 3, side, side) → the panel from the main and from the auxiliary head."""
        early = self.early(tiles)
        return self.main(self.late(early).mean((2, 3))), self.auxiliary(early.mean((2, 3)))


def brstnet(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """Train on the tiles of all training spots, turned and mirrored at random."""
    pixels = torch.cat([_pixels(example) for example in train])
    truth = torch.from_numpy(stacked(train))
    average, spread = truth.mean(0), truth.std(0).clamp_min(1e-6)
    wanted = (truth - average) / spread

    def loss(network: torch.nn.Module, rows: Tensor) -> Tensor:
        tiles = torch.rot90(pixels[rows], int(torch.randint(4, ())), (2, 3))
        tiles = tiles.flip(3) if torch.rand(()) < 0.5 else tiles
        own, (main, auxiliary) = wanted[rows], network(tiles)
        total = functional.mse_loss(main, own) + _AUXILIARY * functional.mse_loss(auxiliary, own)
        assert isinstance(total, Tensor)
        return total

    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(pixels)))
    network = train_network(
        lambda: BrstNet(truth.shape[1]), loss, torch.split(order, _BATCH), seed=seed, epochs=_EPOCHS
    )
    predictions = []
    with torch.inference_mode():
        for test in tests:
            told = torch.cat([network(part)[0] for part in torch.split(_pixels(test), 256)])
            predictions.append(np.asarray((told * spread + average).numpy(), dtype=np.float32))
    return predictions


def _stage(inputs: int, outputs: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(outputs),
        torch.nn.ReLU(),
    )


def _pixels(example: Example) -> Tensor:
    """Tiles with each colour standardised over its own section, as the descriptors are."""
    assert example.tiles is not None
    values = torch.from_numpy(example.tiles).permute(0, 3, 1, 2).float()
    mean, spread = values.mean((0, 2, 3), keepdim=True), values.std((0, 2, 3), keepdim=True)
    return (values - mean) / spread.clamp_min(1.0)


METHODS = (Method("brstnet", ("predictor",), peer(brstnet), needs="pixels"),)
