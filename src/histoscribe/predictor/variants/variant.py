"""What a variant of the predictor is: a network, what training makes small, and how the answer is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from torch import Tensor, nn

from histoscribe.arrays import Floats, Wide
from histoscribe.errors import SettingError
from histoscribe.models.reproducible import seeded
from histoscribe.predictor.ensemble import EnsembleWeights
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.training.batches import SpotBatch
from histoscribe.predictor.variants import VARIANTS

if TYPE_CHECKING:
    from histoscribe.models.training import Optimisation


class PredictorNetwork(nn.Module, ABC):
    """Two branches that meet in one embedding space, and a regression from it."""

    @abstractmethod
    def embed_image(self, features: Tensor) -> Tensor:
        """Image input (n, inputs) → (n, width)."""

    @abstractmethod
    def embed_spots(self, expression: Tensor, places: Tensor, types: Tensor, spatial: Tensor) -> Tensor:
        """Expression (n, genes), places (n, 2) in pitches, types (n,), edges (2, e) → (n, width)."""

    @abstractmethod
    def regress(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Image embedding (n, width) → expression (n, genes), gate logits (n, types)."""


class ProjectionHead(nn.Module):
    """p = W₁x; LayerNorm(p + Dropout(W₂ GELU(p)))."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) → (n, width)."""
        p = self.first(x)
        out: Tensor = self.norm(p + self.dropout(self.second(nn.functional.gelu(p))))
        return out


NetworkT = TypeVar("NetworkT", bound=PredictorNetwork)


class Variant(ABC, Generic[NetworkT]):
    """One form of the predictor."""

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Where its settings differ from those of `PredictorSettings`."""
    radius: ClassVar[float] = 1.5
    """Reach of the spatial graph, in pitches."""
    clip: ClassVar[float | None] = None
    """The largest norm of the gradient in training."""
    joins_sections: ClassVar[bool] = True
    """Whether one batch may hold several sections."""
    standardises: ClassVar[bool] = True
    """Whether it learns targets centred per section, in units of their deviation; else as they are."""
    weighs_spots: ClassVar[bool] = True
    """Whether deep spots count more."""
    has_ridge: ClassVar[bool] = True
    """Whether a ridge regression answers beside the network."""
    weights: ClassVar[EnsembleWeights | None] = None
    """How the parts are weighed; None where inner validation chooses."""

    def settings(self, **changes: Any) -> PredictorSettings:
        """Its defaults with some changes; `SettingError` where one does not exist or is out of range."""
        return PredictorSettings.of(self.name, {**self.defaults, **changes})

    def build(self, settings: PredictorSettings, inputs: int, genes: int, seed: int) -> NetworkT:
        """An untrained network from a seed; the caller's random state is left as it was."""
        with seeded(seed):
            return self.network(settings, inputs, genes)

    @abstractmethod
    def network(self, settings: PredictorSettings, inputs: int, genes: int) -> NetworkT:
        """An untrained network, drawn from PyTorch's random state."""

    @abstractmethod
    def loss(self, network: NetworkT, batch: SpotBatch, settings: PredictorSettings) -> Tensor:
        """What training makes small."""

    @abstractmethod
    def optimise(self, network: NetworkT, settings: PredictorSettings, steps: int) -> Optimisation:
        """The optimiser of a training of so many steps, and its schedule."""

    def places(self, places: Wide) -> Floats:
        """Where the spots of one section lie for the network: places (spots, 2) in pitches → the same."""
        return np.asarray(places - places.mean(axis=0), dtype=np.float32)

    def attention(self, network: NetworkT, batch: SpotBatch) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each graph the edges (2, e) and the attention along them (e,); nothing without such graphs."""
        return {}


def variant_named(name: str) -> Variant[Any]:
    """The variant of this name, one of `VARIANTS`.

    Raises `SettingError` if there is none.
    """
    if name not in VARIANTS:
        raise SettingError("there is no such variant", where=name, remedy=f"choose {' or '.join(VARIANTS)}")
    variant: Variant[Any] = import_module(VARIANTS[name]).VARIANT
    return variant
