"""What predictor, imputer and generator have in common: fitted once, saved, loaded, described by a card.

A kind of model is a subclass that names its `kind`, offers its own verb and `fit`, which ends in `_learned`,
and tells by `_to_tensors` and `_from_tensors` how its fitted state becomes named arrays and back. The loop
that trains is `training.train`; `reproducible` seeds, and holds the threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import ModelError, SettingError
from histoscribe.models.card import Card, TrainingSection
from histoscribe.models.store import bundled, load_model, save_model, weights_hash

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from histoscribe.features import TileEncoder

    DataclassT = TypeVar("DataclassT", bound=DataclassInstance)

SettingsT = TypeVar("SettingsT")
FittedT = TypeVar("FittedT")


class Estimator(ABC, Generic[SettingsT, FittedT]):
    """A model that learns from measured data and then answers.

    Parameters
    ----------
    settings : frozen dataclass
        What is chosen before training. Fitting never changes them: what it chose is in `fitted` and on the
        card.
    seed : int
        The same seed gives the same model on the same CPU.
    device : str
        Where it trains and answers: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
    licence : str
        Under which terms the trained weights may be used; goes into the card.
    """

    kind: ClassVar[str]
    reads_images: ClassVar[bool] = False

    def __init__(
        self, settings: SettingsT, *, seed: int = 0, device: str = "auto", licence: str = "not stated"
    ) -> None:
        self.settings, self.seed, self.device, self.licence = settings, seed, device, licence
        self._fitted: FittedT | None = None
        self._card: Card | None = None
        self._encoder: TileEncoder | None = None

    @abstractmethod
    def fit(self, *data: Any, **options: Any) -> Self:
        """Learn from measured data, and give back the same estimator."""

    @property
    def card(self) -> Card:
        """What the model is and what it learned from; `ModelError` before it has been fitted."""
        if self._card is None:
            raise self._unfitted()
        return self._card

    @property
    def fitted(self) -> FittedT:
        """What was learned; `ModelError` before it has been fitted."""
        if self._fitted is None:
            raise self._unfitted()
        return self._fitted

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes of the output, in the order of its columns."""
        return self.card.genes

    @property
    def encoder(self) -> TileEncoder:
        """What describes tiles for this model: as given to `fit` or `load`, else found by the card's name.

        Raises `ModelError` if the card names none, or it is not here.
        """
        from histoscribe.features import encoder_named

        if self._encoder is None:
            if not self.card.encoder:
                problem = "this model does not say which encoder described its tiles"
                raise ModelError(problem, remedy="pass encoder= when fitting, or give described tiles")
            try:
                self._encoder = encoder_named(self.card.encoder, device=self.device)
            except SettingError as error:
                problem = f"this model learned from tiles described by {self.card.encoder}, which is not here"
                remedy = "install the package that offers this encoder, or give it to load(encoder=…)"
                raise ModelError(problem, remedy=remedy) from error
        return self._encoder

    def save(self, folder: str | PathLike[str], *, tissue: str = "", technology: str = "") -> Card:
        """Write the model's folder, `weights.safetensors` and `card.json`, and give the card as written.

        Parameters
        ----------
        tissue, technology : str, optional
            For the card: of what it learned, and what measured that.

        Raises
        ------
        ModelError
            If nothing has been learned, or something else than a model stands at `folder`.
        StorageError
            If it cannot be written.
        """
        own = self.card
        card = replace(own, tissue=tissue or own.tissue, technology=technology or own.technology)
        self._card = save_model(folder, self._to_tensors(), card)
        return self._card

    @classmethod
    def load(
        cls, path: str | PathLike[str], *, device: str = "auto", encoder: TileEncoder | None = None
    ) -> Self:
        """Read a saved model.

        Parameters
        ----------
        path : str or path
            Its folder, or the name of a model that comes with the package.
        device : str
            Where it answers.
        encoder : TileEncoder, optional
            What described the training tiles, where it cannot be found by the name on the card.

        Raises
        ------
        ModelError
            If it is missing, damaged, foreign or of another kind, or `encoder` is not the one on the card.
        SettingError
            If an encoder is given to a model that reads no images.
        """
        folder = bundled(path)
        tensors, card = load_model(folder, kind=cls.kind)
        if encoder is not None:
            _check_encoder(encoder, card, folder, reads_images=cls.reads_images)
        import torch

        with torch.random.fork_rng(devices=[]):  # a network draws its first weights, which are replaced
            settings, fitted = cls._from_tensors(tensors, card, folder)
        model = cls.__new__(cls)
        Estimator.__init__(model, settings, seed=card.seed, device=device, licence=card.licence)
        model._fitted, model._card, model._encoder = fitted, card, encoder
        return model

    @abstractmethod
    def _to_tensors(self) -> dict[str, NDArray[np.generic]]:
        """Every array of what was learned, by name."""

    @classmethod
    @abstractmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[SettingsT, FittedT]:
        """Settings and what was learned, with every shape checked; `ModelError` where they do not fit."""

    def _written(
        self,
        variant: str,
        genes: tuple[str, ...],
        target: str,
        rule: str,
        *,
        training: tuple[TrainingSection, ...],
        settings: dict[str, Any],
        held_out: dict[str, dict[str, Any]] | None = None,
    ) -> Card:
        """The card of what was learned."""
        return Card(
            self.kind,
            variant,
            genes,
            target,
            rule,
            training,
            self.licence,
            self.seed,
            held_out=held_out or {},
            settings=settings,
        )

    def _learned(self, fitted: FittedT, card: Card, encoder: TileEncoder | None = None) -> Self:
        """Keep what was learned; the card gets the hash that the weights have once saved, and the encoder."""
        if encoder is not None:
            card = replace(card, encoder=encoder.name, mpp=float(encoder.mpp), crop_um=float(encoder.crop_um))
        self._fitted, self._encoder = fitted, encoder
        self._card = replace(card, sha256=weights_hash(self._to_tensors()))
        return self

    def _unfitted(self) -> ModelError:
        return ModelError(f"this {self.kind} has learned nothing yet", remedy="fit or load one first")


def require_whole(settings: Any, **least: int) -> None:
    """Raise `SettingError` for the first of the named settings that is no whole number of at least so
    much."""
    for name, lowest in least.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or value < lowest:
            raise SettingError(f"{name} is {value!r}", remedy=f"choose a whole number of at least {lowest}")


def settings_from(kind: type[DataclassT], card: Card, where: str | PathLike[str]) -> DataclassT:
    """The settings that a card states; defaults for those it does not, nothing for what else it holds.

    Raises `ModelError` if one is out of range.
    """
    known = {entry.name for entry in fields(kind)}
    try:
        return kind(**{name: value for name, value in card.settings.items() if name in known})
    except SettingError as error:
        problem = f"the card's settings are impossible ({error})"
        raise ModelError(problem, where=where, remedy="copy the folder anew") from error


def _check_encoder(encoder: TileEncoder, card: Card, where: Path, *, reads_images: bool) -> None:
    from histoscribe.features import same_encoder

    if not reads_images:
        raise SettingError(f"a model of kind {card.kind} reads no images", remedy="leave the encoder out")
    if card.encoder and not same_encoder(encoder.name, card.encoder):
        problem = f"this model needs the encoder {card.encoder}, not {encoder.name}"
        raise ModelError(problem, where=where, remedy="give the one that it was trained with")
