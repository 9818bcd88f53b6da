"""The network: what a tile says of each label, weighed by an attention of that label's own, and summed up.

Every answer is a sum over tiles (Javed et al. 2022), so a tile's evidence is exact: how much of the answer it
carries. Attention is gated (Ilse et al. 2018). Related labels share what they look at and how they read it:
rows of both are smoothed over a graph of labels, as prior knowledge of genes is in BPGT.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "attention", "transformer"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
WIDTH, _HEADS, _TOGETHER = 32, 4, 1024
_DROPOUT = 0.25


class SlideNetwork(nn.Module):
    """From tiles to labels.

    `inputs`: numbers of a tile; `smoothing` (outputs, outputs): which labels borrow from which, the identity
    without a prior. `mean` is linear in the mean tile, the plainest way to pool.
    """

    smoothing: Tensor

    def __init__(self, inputs: int, pooling: Pooling, smoothing: Tensor) -> None:
        super().__init__()
        outputs, plain = len(smoothing), pooling == "mean"
        width = inputs if plain else WIDTH
        self.trunk = nn.Identity() if plain else nn.Sequential(nn.Linear(inputs, WIDTH), nn.ReLU())
        self.drop = nn.Dropout(_DROPOUT)
        self.looks = self.gate = self.context = None
        if pooling == "transformer":
            self.context = nn.TransformerEncoderLayer(
                WIDTH, _HEADS, 2 * WIDTH, _DROPOUT, "gelu", batch_first=True, norm_first=True
            )
        if not plain:
            self.looks, self.gate = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.asked = nn.Parameter(torch.randn(outputs, WIDTH) / WIDTH**0.5)
        self.read = nn.Parameter(torch.randn(outputs, width) / width**0.5 * (0 if plain else 1))
        self.offset = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("smoothing", smoothing)

    def _tiles(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """How much each is looked at, before it is compared with the others, and what it says."""
        hidden = self.drop(self.trunk(tiles))
        if self.context is not None:
            hidden = self.context(hidden)
        said = hidden @ (self.smoothing @ self.read).T
        if self.looks is None or self.gate is None:
            return torch.zeros_like(said), said
        gated = torch.tanh(self.looks(hidden)) * torch.sigmoid(self.gate(hidden))
        return gated @ (self.smoothing @ self.asked).T, said

    def forward(self, bags: Tensor) -> Tensor:
        """Answers of shape (bags, outputs) for tiles of shape (bags, tiles, inputs)."""
        looked, said = self._tiles(bags)
        return (looked.softmax(1) * said).sum(1) + self.offset

    @torch.no_grad()
    def weigh(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Attention, which sums up to 1, and evidence of one slide's tiles (tiles, inputs), some at once.

        The sum of the evidence over tiles and the offset are the answer. Both of shape (tiles, outputs).
        """
        parts = [self._tiles(some[None].to(self.offset)) for some in torch.split(tiles, _TOGETHER)]
        looked, said = (torch.cat(part, dim=1)[0] for part in zip(*parts, strict=True))
        attention = looked.softmax(0)
        return attention.cpu(), attention.cpu() * said.cpu()

    def answer(self, tiles: Tensor) -> Tensor:
        """Of one slide, shape (outputs,), on the CPU."""
        return self.weigh(tiles)[1].sum(0) + self.offset.detach().cpu()
