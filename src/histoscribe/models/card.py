"""The card of a model: what it is, what it learned from, and how well it did where it was held out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from histoscribe.errors import ModelError, told_as
from histoscribe.record import installed_versions, running_command

FORMAT_VERSION = 1
_RETRAIN = "train the model again, or fetch it anew"


@dataclass(frozen=True)
class TrainingSection:
    """A section (or table) that a model was trained on, and whose tissue it is."""

    section: str
    patient: str


@dataclass(frozen=True)
class Card:
    """Everything that must be known about saved weights before they are trusted."""

    kind: str
    """`predictor`, `imputer`, `generator`, `classifier`, `programmes` or `labeller`."""
    variant: str
    """Which form of that kind."""
    genes: tuple[str, ...]
    """The output genes in the order of the output columns."""
    target: str
    """The scale of the output, in words."""
    panel_rule: str
    """How the genes were chosen, and on what."""
    training: tuple[TrainingSection, ...]
    """Sections and patients that the weights have seen."""
    licence: str
    """Under which terms the weights may be used."""
    seed: int
    mpp: float | None = None
    crop_um: float | None = None
    """`mpp` and `crop_um`: µm per pixel and side of the crop that the encoder reads; None where no image is
    read."""
    encoder: str = ""
    """Name of the tile encoder; empty where no image is read."""
    tissue: str = ""
    """Of what tissue it learned, in words; empty where nobody said."""
    technology: str = ""
    """What measured its training data, in words; empty where nobody said."""
    command: str = field(default_factory=running_command)
    """What was run to make it."""
    versions: dict[str, str] = field(default_factory=installed_versions)
    """Package versions at training."""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    """Time of training, ISO 8601, UTC."""
    sha256: str = ""
    """Of `weights.safetensors`."""
    held_out: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per gene, scores on held-out data (`r`, and `low`, `high` where known); a predictor's also those of
    known and of new patients by themselves (`same`, `new`), None where there were none."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What this kind needs to rebuild its network."""
    format_version: int = FORMAT_VERSION

    @property
    def sections(self) -> tuple[str, ...]:
        """Names of the training sections."""
        return tuple(entry.section for entry in self.training)

    @property
    def patients(self) -> tuple[str, ...]:
        """Training patients, each once."""
        return tuple(dict.fromkeys(entry.patient for entry in self.training))

    def to_dict(self) -> dict[str, Any]:
        """The card as plain values that JSON can hold."""
        return asdict(self)

    def to_json(self) -> str:
        """The card as indented JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, content: Any, *, where: str | Path = "card.json") -> Card:
        """Read a card back, checking every field's type.

        Raises
        ------
        ModelError
            If it is not a card, comes from a newer version, or a field is missing or of a wrong type.
        """
        if not isinstance(content, dict) or "format_version" not in content or "kind" not in content:
            remedy = "point to a model's folder"
            raise ModelError("this is not a model card of Histoscribe", where=where, remedy=remedy)
        found = content["format_version"]
        if not isinstance(found, int) or not 1 <= found <= FORMAT_VERSION:
            problem = f"the card has format {found!r}, this version reads formats up to {FORMAT_VERSION}"
            raise ModelError(problem, where=where, remedy="update Histoscribe")
        known = {entry.name for entry in fields(cls)}
        required = {"kind", "variant", "genes", "target", "panel_rule", "training", "licence", "seed"}
        missing = sorted((required | {"sha256"}) - content.keys())
        if missing:
            raise ModelError(f"the card lacks {', '.join(missing)}", where=where, remedy=_RETRAIN)
        values = {name: value for name, value in content.items() if name in known}
        wrong = (TypeError, KeyError, ValueError, AttributeError)
        with told_as(ModelError, "the card is malformed", *wrong, where=where, remedy=_RETRAIN):
            values["genes"] = tuple(_texts(values["genes"]))
            values["training"] = tuple(
                TrainingSection(*_texts([entry["section"], entry["patient"]])) for entry in values["training"]
            )
            card = cls(**values)
            card._check_types()
        return card

    def _check_types(self) -> None:
        _texts([self.kind, self.variant, self.target, self.panel_rule, self.licence, self.encoder])
        _texts([self.tissue, self.technology, self.command, self.created, self.sha256])
        if len(set(self.genes)) != len(self.genes):
            raise ValueError("a gene is listed twice")
        for number in (self.mpp, self.crop_um):
            if number is not None and not (isinstance(number, int | float) and 0 < number < 1e6):
                raise ValueError(f"{number!r} is no length in µm")
        for table in (self.versions, self.held_out, self.settings):
            if not isinstance(table, dict):
                raise TypeError(f"{table!r} is no table")
        if not isinstance(self.seed, int):
            raise TypeError(f"{self.seed!r} is no seed")


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{values!r} is no list")
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is no text")
    return list(values)
