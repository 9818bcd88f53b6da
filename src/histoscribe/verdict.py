"""The verdict on a prediction: how far it can be trusted, as whole sentences for whoever looks at it."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

VerdictKind = Literal["training", "same", "like", "unlike", "coarse"]

HEADLINES: dict[VerdictKind, str] = {
    "training": "Of training itself",
    "same": "Same tissue as in training",
    "like": "Like the training tissue",
    "unlike": "Unlike the training tissue",
    "coarse": "Too coarse an image",
}
VERDICT_COLOURS: dict[VerdictKind, str] = {
    "training": "#a8447f",
    "same": "#00765a",
    "like": "#0072b2",
    "unlike": "#b54800",
    "coarse": "#8a6100",
}
"""Told apart without colour vision, and dark enough for white words (contrast of 4.5 and more)."""
NOT_STATED, PLAIN = "Not stated. This prediction does not say how far it can be trusted.", "#5a6272"
"""What is said of predictions of earlier versions, and on which colour."""
_MEANINGS: dict[VerdictKind, str] = {
    "training": "The model was trained on this very tissue: how well it fits says nothing about new tissue.",
    "same": "The model knew other tissue of this patient: expect less on a new one.",
    "like": "The model had never seen this patient, but knew tissue that looks like it.",
    "unlike": "Most of this tissue looks like nothing that the model was trained on: do not rely on it.",
    "coarse": "The image shows less detail than the model learned to read: do not rely on it.",
}
WARNED, TOO_COARSE, REFUSED = 1.3, 1.75, 8.0
"""Times coarser than training from which an image is warned of, called too coarse, and refused."""
UNLIKE, PARTLY = 0.5, 0.1
"""Shares of unlike tiles above which a slide is unlike, and unlike in part."""


@dataclass(frozen=True)
class Verdict:
    """How far a prediction can be trusted; None where something is not stated."""

    kind: VerdictKind
    """`training`: of training itself; `same`: other tissue of a training patient; `like` and `unlike`: of
    a new patient; `coarse`: too coarse an image."""
    unlike: float | None = None
    """Share of tiles that look like none of the training."""
    fineness: float | None = None
    """How many times coarser the image is than the coarsest of the training; below 1 where it is finer."""
    stain: float | None = None
    """How far the slide's average tile is from that of the training, in units of what is usual there:
    above 1 it was stained or scanned otherwise."""
    depth: float | None = None
    """Median counts of a training spot."""
    genes: float | None = None
    """Share of the model's genes that the target's own table has."""
    given: float | None = None
    """How many measured spots of this very tissue it learned from, where it did."""
    scale: str = ""
    """A sentence where other witnesses doubt the slide's µm per pixel."""

    @property
    def headline(self) -> str:
        """In a few words."""
        return "Learned from spots of this tissue" if self._guided else HEADLINES[self.kind]

    @property
    def colour(self) -> str:
        """Of a banner with white words."""
        return VERDICT_COLOURS[self.kind]

    @property
    def withheld(self) -> bool:
        """Whether it is mostly unlike, and shown only to whoever asks for it."""
        return self.kind == "unlike"

    @property
    def doubts(self) -> tuple[str, ...]:
        """Everything that speaks against it beside its kind, in whole sentences."""
        told = []
        if self.unlike is not None and self.unlike > PARTLY:
            told.append(f"{self.unlike:.0%} of its tiles are unlike all of the training.")
        if self.fineness is not None and self.fineness > WARNED:
            told.append(f"Its image is {self.fineness:.2g} times coarser than those of the training.")
        if self.stain is not None and self.stain > 1:
            told.append("It was stained or scanned otherwise than the training slides.")
        if self.genes is not None and self.genes < 0.5:
            told.append(f"Its own table has only {self.genes:.0%} of the model's genes: the same species?")
        return (*told, self.scale) if self.scale else tuple(told)

    @property
    def sentence(self) -> str:
        """The headline, what it means, and the doubts."""
        meaning = _MEANINGS[self.kind]
        if self._guided:
            meaning = f"What it says rests on {self.given:,.0f} measured spots, and holds for no other slide."
        return " ".join((f"{self.headline}.", meaning, *self.doubts))

    @property
    def _guided(self) -> bool:
        return self.kind == "same" and bool(self.given)

    def to_mapping(self) -> dict[str, Any]:
        """Its fields, those that are not stated left out, and the sentence."""
        stated = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in stated.items() if value not in (None, "")} | {
            "sentence": self.sentence
        }


def read_verdict(stated: dict[str, Any]) -> Verdict | None:
    """From `to_mapping`, whatever a file made of it; None without a known kind."""
    if stated.get("kind") not in get_args(VerdictKind):
        return None
    numbers = {}
    for entry in fields(Verdict)[1:-1]:
        try:
            numbers[entry.name] = float(stated[entry.name])
        except (KeyError, TypeError, ValueError):
            continue
    scale = stated.get("scale", "")
    return Verdict(stated["kind"], **numbers, scale=scale if isinstance(scale, str) else "")
