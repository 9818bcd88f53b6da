"""What can be set of a predictor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from histoscribe.errors import SettingError
from histoscribe.models.estimator import require_whole
from histoscribe.predictor.inputs import UNITS, Unit
from histoscribe.predictor.target import TARGETS, Target
from histoscribe.predictor.variants import VARIANTS

KIND = "predictor"
GRAPHS = ("spatial", "functional")
PARTS = (
    *("retrieval", "regression", "linear", "depth weights", "low rank", "spot types", "soft targets"),
    "smoothness",
)


@dataclass(frozen=True)
class PredictorSettings:
    """How a predictor is built and trained."""

    variant: str = "histoscribe"
    """A name of `VARIANTS`: `histoscribe`, the default, or `published`, GR2ST as in the paper."""
    epochs: int = 60
    """Passes over the training sections."""
    members: int = 3
    """Networks trained from different seeds whose predictions are averaged; so many for each part of a
    joined encoder, and for all of it."""
    target: Target = "clean"
    """`clean`, or `published` to reproduce numbers on the faulty target of the first code."""
    panel_size: int = 250
    """How many genes, the most variable ones of the training sections."""
    radii: tuple[float, ...] | None = None
    """Reaches of the image context in pitches; empty for the published form; None to choose on inner
    folds."""
    units: tuple[Unit, ...] | None = None
    """What descriptors are measured in: `section`, `training` or both; None to choose on inner folds."""
    graphs: tuple[str, ...] = ()
    """`spatial`, `functional` or both: along what the spots' expression is looked at. They give maps of
    attention; prediction does not gain by them."""
    components: int = 128
    """Principal components of the image input that the network sees; 0 for the input itself."""
    rank: int = 8
    """Principal components of the training expression that the ridge writes."""
    width: int = 128
    heads: int = 4
    """`width` and `heads`: length of the embeddings, attention heads per graph."""
    types: int = 6
    """Spot types, where they are clusters of the training images."""
    type_source: Literal["clusters", "given"] = "clusters"
    """`clusters` of the training images, or `given`: nuclei or labels that the sections bring along."""
    dropout: float = 0.2
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch_spots: int = 2048
    """Sections are joined, or cut along their longer side, into batches of about so many spots."""
    gallery_spots: int = 50_000
    """How many training spots retrieval looks through, where there are more: a random choice."""
    without: tuple[str, ...] = ()
    """Parts of the default that are switched off, of `PARTS`: what the ablation measures."""

    def __post_init__(self) -> None:
        units = ("none",) if self.units == () else self.units or ()
        for problem, values, known in (
            ("there is no such variant", (self.variant,), VARIANTS),
            ("the default has no such part", self.without, PARTS),
            ("there is no such target", (self.target,), TARGETS),
            ("spot types come from no such source", (self.type_source,), ("clusters", "given")),
            ("descriptors are measured in no such units", units, UNITS),
            ("there is no such graph", self.graphs, GRAPHS),
        ):
            if unknown := sorted(str(value) for value in values if value not in known):
                raise SettingError(problem, where=unknown[0], remedy=f"choose of: {', '.join(known)}")
        at_least = {"epochs": 1, "members": 1, "panel_size": 1, "width": 8, "heads": 1, "types": 2, "rank": 1}
        at_least |= {"components": 0, "batch_spots": 8, "gallery_spots": 8}
        require_whole(self, **at_least)
        if self.width % self.heads:
            problem = f"a width of {self.width} cannot be shared by {self.heads} heads"
            raise SettingError(problem, remedy="choose a multiple of the heads")
        if not 0 <= self.dropout < 1 or not self.learning_rate > 0 or not self.weight_decay >= 0:
            remedy = "choose a dropout in [0, 1), a positive learning rate and no negative decay"
            raise SettingError("dropout, learning rate or weight decay is out of range", remedy=remedy)
        if any(not 0 < radius <= 20 for radius in self.radii or ()):
            raise SettingError("a context radius is out of range", remedy="choose radii up to 20 pitches")

    @property
    def reaches(self) -> tuple[float, ...]:
        """The context radii, none where they have not been chosen."""
        return self.radii or ()

    @property
    def measures(self) -> tuple[Unit, ...]:
        """The units, those of the section where they have not been chosen."""
        return self.units or UNITS[:1]

    @property
    def blocks(self) -> int:
        """How often the descriptors stand in the image input: per unit by themselves and per radius."""
        return len(self.measures) * (1 + len(self.reaches))

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def of(cls, variant: str, values: Mapping[str, Any]) -> PredictorSettings:
        """Settings from plain values, as a card or a user gives them.

        Raises
        ------
        SettingError
            If a setting does not exist or is out of range.
        """
        known = {entry.name for entry in fields(cls)} - {"variant"}
        if unknown := sorted(values.keys() - known):
            remedy = f"choose of: {', '.join(sorted(known))}"
            raise SettingError("there is no such setting", where=unknown[0], remedy=remedy)
        checked = dict(values)
        for name, kind in (("radii", float), ("units", str), ("graphs", str), ("without", str)):
            if checked.get(name) is not None:
                checked[name] = tuple(kind(value) for value in checked[name])
        return cls(variant=variant, **checked)
