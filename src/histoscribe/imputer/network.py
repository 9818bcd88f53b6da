"""The masked encoder–decoder: tokens of observed genes in, a correction for any asked gene out."""

import math

import torch
from torch import Tensor, nn

WIDTH = 64
_LATENTS = 8
_HEADS = 4
_LEVELS = 16
_LEVEL_LIMIT = 3.0
_VALUE_LIMIT = 6.0
_ANSWERS = 3


class Tokens(nn.Module):
    """A token per observed gene: who it is, its binned level, and the level itself.

    The token of gene g at value v is `identity[g] + level[bin(v)] + v · slope(identity[g])`. As it is a
    sum of parts that depend on the gene or on the bin alone, so are its keys and values, and the
    tokens themselves need never be laid out.

    `identities` (genes, WIDTH): start of the gene embedding, taken from the covariance.
    """

    def __init__(self, identities: Tensor) -> None:
        super().__init__()
        self.identity = nn.Parameter(identities.clone())
        self.level = nn.Embedding(_LEVELS, WIDTH)
        nn.init.normal_(self.level.weight, std=0.1)
        self.slope = nn.Linear(WIDTH, WIDTH, bias=False)

    def parts(self, genes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Identity (genes, WIDTH), levels (_LEVELS, WIDTH) and slope (genes, WIDTH)."""
        identity = self.identity[genes]
        return identity, self.level.weight, self.slope(identity)

    @staticmethod
    def bins(values: Tensor) -> Tensor:
        """Level of each value, int64."""
        scaled = (values.clamp(-_LEVEL_LIMIT, _LEVEL_LIMIT) / _LEVEL_LIMIT + 1) / 2
        return (scaled * (_LEVELS - 1)).round().long()


class Reading(nn.Module):
    """Latent tokens look at the tokens of the observed genes, which is linear in genes."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(_LATENTS, WIDTH) * 0.5)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH, bias=False)
        self.merge = nn.Linear(WIDTH, WIDTH)

    def forward(self, parts: tuple[Tensor, Tensor, Tensor], values: Tensor, observed: Tensor) -> Tensor:
        """Latents of shape (samples, _LATENTS, WIDTH) from values and mask of shape (samples, genes)."""
        samples, bins = len(values), Tokens.bins(values)
        values = values.clamp(-_VALUE_LIMIT, _VALUE_LIMIT)
        heads = WIDTH // _HEADS
        answers = []
        for head in range(_HEADS):
            at = slice(head * heads, (head + 1) * heads)
            query = self.latents[:, at] / math.sqrt(heads)
            key_identity, key_level, key_slope = (self.key(part)[:, at] for part in parts)
            scores = (query @ key_identity.T)[None] + values[:, None] * (query @ key_slope.T)[None]
            scores = scores + (query @ key_level.T)[:, bins].transpose(0, 1)
            looks = scores.masked_fill(~observed[:, None], -1e4).softmax(dim=2)
            per_level = torch.zeros(samples, _LATENTS, _LEVELS, dtype=looks.dtype)
            per_level = per_level.scatter_add(2, bins[:, None].expand_as(looks), looks)
            value_identity, value_level, value_slope = (self.value(part)[:, at] for part in parts)
            answers.append(
                looks @ value_identity + per_level @ value_level + (looks * values[:, None]) @ value_slope
            )
        merged: Tensor = self.latents + self.merge(torch.cat(answers, dim=2))
        return merged


class Thinking(nn.Module):
    """A transformer block among the latent tokens."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(
            WIDTH, _HEADS, 2 * WIDTH, dropout, activation="gelu", batch_first=True, norm_first=True
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Shape of `latents`."""
        thought: Tensor = self.block(latents)
        return thought


class Corrector(nn.Module):
    """Encoder over observed genes, a summary token, and a decoder that any gene may ask.

    The encoder's latent tokens attend to the observed genes only, so its cost falls with what is
    missing. The decoder's query is a gene's identity: it attends to the latents, the first of which is
    the summary, and reads its answer out with the gene's own weights. The answer is a shift of the
    mean, a change of the step from the Gaussian to the memory, and a widening of the spread; it
    starts as no correction at all.

    `identities` (genes, WIDTH): see `Tokens`.
    """

    def __init__(self, identities: Tensor, dropout: float = 0.2) -> None:
        super().__init__()
        self.tokens = Tokens(identities)
        self.reading = Reading()
        self.thinking = Thinking(dropout)
        self.norm = nn.LayerNorm(WIDTH)
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.answer = nn.Linear(WIDTH, _ANSWERS * WIDTH)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)

    def encode(self, values: Tensor, observed: Tensor, genes: Tensor) -> Tensor:
        """Latent tokens, shape (samples, _LATENTS, WIDTH); the first one is the summary.

        `values` and `observed` (samples, genes given); `genes`: the numbers of those given.
        """
        seen = torch.where(observed, values, 0.0)
        latents = self.reading(self.tokens.parts(genes), seen, observed)
        normed: Tensor = self.norm(self.thinking(latents))
        return normed

    def decode(self, latents: Tensor, genes: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Correction of the mean and of the log standard deviation, each of shape (samples, genes asked).

        `latents`: as `encode` gives them; `genes`: the numbers of those asked; `step` (samples, genes asked):
        what the memory expects less what the Gaussian does.
        """
        identity = self.tokens.identity[genes]
        heads = WIDTH // _HEADS
        query, readout = self.query(identity) / math.sqrt(heads), self.answer(identity)
        key, value = self.key(latents), self.value(latents)
        answers: list[Tensor] = [torch.zeros_like(step)] * _ANSWERS
        for head in range(_HEADS):
            at = slice(head * heads, (head + 1) * heads)
            looks = (key[..., at] @ query[:, at].T).softmax(dim=1)
            for which in range(_ANSWERS):
                read = readout[:, which * WIDTH : (which + 1) * WIDTH][:, at]
                answers[which] = answers[which] + (looks * (value[..., at] @ read.T)).sum(dim=1)
        shift, change, widening = answers
        return shift + change * step, widening.clamp(-1.0, 1.0)


def identities_from(loadings: Tensor) -> Tensor:
    """Gene embeddings from the covariance: leading directions of the loadings, unit mean square."""
    left, strengths, _ = torch.linalg.svd(loadings, full_matrices=False)
    kept = (left * strengths)[:, :WIDTH]
    whole = torch.zeros(len(loadings), WIDTH)
    whole[:, : kept.shape[1]] = kept
    scaled: Tensor = whole / whole.square().mean().sqrt().clamp_min(1e-6)
    return scaled
