"""The masked encoder–decoder: tokens of observed genes in, a correction for any asked gene out."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 64
LATENTS = 16
LEVELS = 16
_HEADS = 4
_LEVEL_LIMIT = 3.0


class Tokens(nn.Module):
    """A token per observed gene: who it is, its binned level, and the level itself.

    Parameters
    ----------
    identities : Tensor of float32, shape (genes, WIDTH)
        Start of the gene embedding, taken from the covariance.
    """

    def __init__(self, identities: torch.Tensor) -> None:
        super().__init__()
        self.identity = nn.Parameter(identities.clone())
        self.level = nn.Embedding(LEVELS, WIDTH)
        nn.init.normal_(self.level.weight, std=0.02)
        self.by_value = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, values: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        """Tokens of shape (samples, genes, WIDTH) from values (samples, genes) and gene indices."""
        clipped = values.clamp(-_LEVEL_LIMIT, _LEVEL_LIMIT)
        bins = ((clipped / _LEVEL_LIMIT + 1) / 2 * (LEVELS - 1)).round().long()
        identity = self.identity[genes]
        token = identity + self.level(bins) + values.clamp(-8, 8).unsqueeze(2) * self.by_value(identity)
        normed: torch.Tensor = self.norm(token)
        return normed


class Block(nn.Module):
    """Attention of `asking` to `told` and a feed-forward step, both with residuals."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, _HEADS, dropout=dropout, batch_first=True)
        self.step = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(2 * WIDTH, WIDTH),
        )  # fmt: skip

    def forward(
        self, asking: torch.Tensor, told: torch.Tensor, absent: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Shape of `asking`; `absent` (samples, told) marks what must not be looked at."""
        heard, _ = self.attention(self.norm(asking), told, told, key_padding_mask=absent, need_weights=False)
        asking = asking + heard
        stepped: torch.Tensor = asking + self.step(asking)
        return stepped


class Corrector(nn.Module):
    """Encoder over observed genes, a summary token, and a decoder that any gene may ask.

    The encoder's latent tokens attend to the observed genes only, so its cost falls with what is
    missing and is linear in genes. The decoder's query is a gene's identity with what the Gaussian
    and the reference memory expect of it; it starts as no correction at all.

    Parameters
    ----------
    identities : Tensor of float32, shape (genes, WIDTH)
    dropout : float
    """

    def __init__(self, identities: torch.Tensor, dropout: float = 0.2) -> None:
        super().__init__()
        self.tokens = Tokens(identities)
        self.latents = nn.Parameter(torch.randn(LATENTS, WIDTH) * 0.1)
        self.read = Block(dropout)
        self.think = Block(dropout)
        self.expected = nn.Linear(2, WIDTH)
        self.ask = Block(dropout)
        self.answer = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2))
        last = self.answer[1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def encode(self, values: torch.Tensor, observed: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        """Latent tokens, shape (samples, LATENTS, WIDTH); the first one is the summary.

        Parameters
        ----------
        values : Tensor, shape (samples, genes given)
        observed : Tensor of bool, shape (samples, genes given)
        genes : Tensor of int64, shape (genes given,)
        """
        told = self.tokens(torch.where(observed, values, 0.0), genes)
        latents = self.latents.expand(len(values), -1, -1)
        latents = self.read(latents, told, ~observed)
        thought: torch.Tensor = self.think(latents, latents)
        return thought

    def decode(
        self, latents: torch.Tensor, genes: torch.Tensor, gaussian: torch.Tensor, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Correction of the mean and of the log standard deviation, each (samples, genes asked)."""
        hint = self.expected(torch.stack([gaussian, memory - gaussian], dim=2))
        answer = self.answer(self.ask(self.tokens.identity[genes] + hint, latents))
        return answer[..., 0], answer[..., 1].clamp(-1.0, 1.0)


def identities_from(loadings: torch.Tensor) -> torch.Tensor:
    """Gene embeddings from the covariance: leading directions of the loadings, unit mean square."""
    left, strengths, _ = torch.linalg.svd(loadings, full_matrices=False)
    kept = (left * strengths)[:, :WIDTH]
    whole = torch.zeros(len(loadings), WIDTH)
    whole[:, : kept.shape[1]] = kept
    scaled: torch.Tensor = whole / whole.square().mean().sqrt().clamp_min(1e-6)
    return scaled
