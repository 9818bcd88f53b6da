"""The contrastive peers: BLEEP, and mclSTExp with its transformer over the spots of a section."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from histoscribe.arrays import Floats
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.predictor.peers import Example, peer, stacked
from histoscribe.benchmark.training import train_network
from histoscribe.predictor.variants.variant import ProjectionHead

_EPOCHS = 60
_WIDTH, _DROPOUT = 256, 0.1


class Bleep(torch.nn.Module):
    """One projection head per modality."""

    def __init__(self, features: int, genes: int) -> None:
        super().__init__()
        self.image = ProjectionHead(features, _WIDTH, _DROPOUT)
        self.spot = ProjectionHead(genes, _WIDTH, _DROPOUT)

    def embed_spots(self, example: Example) -> Tensor:
        """Embed the spots of a training section, shape (spots, 256)."""
        result: Tensor = self.spot(torch.from_numpy(example.expression))
        return result


class MclSTExp(Bleep):
    """Bleep whose spots see each other: expression and place through a transformer layer."""

    def __init__(self, features: int, genes: int) -> None:
        super().__init__(features, genes)
        self.gene_input = torch.nn.Linear(genes, _WIDTH)
        self.place_input = torch.nn.Linear(2, _WIDTH)
        layer = torch.nn.TransformerEncoderLayer(_WIDTH, 8, 2 * _WIDTH, dropout=_DROPOUT, batch_first=True)
        self.spots = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.spot = ProjectionHead(_WIDTH, _WIDTH, _DROPOUT)

    def embed_spots(self, example: Example) -> Tensor:
        """Embed the spots of a training section, each in the light of the others, shape (spots, 256)."""
        genes = self.gene_input(torch.from_numpy(example.expression))
        tokens = genes + self.place_input(torch.from_numpy(example.places))
        result: Tensor = self.spot(self.spots(tokens[None])[0])
        return result


def bleep(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """BLEEP: soft targets from the similarities inside both modalities; mean of the 50 nearest spots.

    Xie et al., NeurIPS 2023.
    """

    def loss(network: torch.nn.Module, example: Example) -> Tensor:
        assert isinstance(network, Bleep)
        image = network.image(torch.from_numpy(example.features))
        spot = network.embed_spots(example)
        targets = functional.softmax((image @ image.T + spot @ spot.T) / 2, dim=-1).detach()
        return _cross_entropy(spot @ image.T, targets)

    network = _fit(Bleep, loss, train, seed)
    return [_retrieve(network, train, test, nearest=50, weighted=False) for test in tests]


def mclstexp(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """The mclSTExp peer: one-hot targets; the 200 nearest spots weighted by inverse squared distance.

    Min et al., Briefings in Bioinformatics 2024.
    """

    def loss(network: torch.nn.Module, example: Example) -> Tensor:
        assert isinstance(network, MclSTExp)
        image = functional.normalize(network.image(torch.from_numpy(example.features)), dim=-1)
        spot = functional.normalize(network.embed_spots(example), dim=-1)
        return _cross_entropy(spot @ image.T / 0.07, torch.eye(len(image)))

    network = _fit(MclSTExp, loss, train, seed)
    return [_retrieve(network, train, test, nearest=200, weighted=True) for test in tests]


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    forward = functional.cross_entropy(logits, targets)
    return (forward + functional.cross_entropy(logits.T, targets.T)) / 2


def _fit(kind, loss, train: Sequence[Example], seed: int) -> Bleep:  # type: ignore[no-untyped-def]
    sizes = train[0].features.shape[1], train[0].expression.shape[1]
    network = train_network(lambda: kind(*sizes), loss, train, seed=seed, epochs=_EPOCHS)
    assert isinstance(network, Bleep)
    return network


@torch.no_grad()
def _retrieve(
    network: Bleep, train: Sequence[Example], test: Example, *, nearest: int, weighted: bool
) -> Floats:
    reference = functional.normalize(torch.cat([network.embed_spots(example) for example in train]), dim=-1)
    query = functional.normalize(network.image(torch.from_numpy(test.features)), dim=-1)
    similarity, places = (query @ reference.T).topk(min(nearest, len(reference)), dim=-1)
    weights = 1 / (2 - 2 * similarity).clamp_min(1e-6) if weighted else torch.ones_like(similarity)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    expression = torch.from_numpy(stacked(train))
    return torch.einsum("qk,qkg->qg", weights, expression[places]).numpy()


METHODS = (Method("bleep", ("predictor",), peer(bleep)), Method("mclstexp", ("predictor",), peer(mclstexp)))
