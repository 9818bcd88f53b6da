"""What a prediction says about the model behind it, and whether that model had seen the tissue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Split = Literal[
    "in training",
    "section out, same patient in training",
    "section out, patient unknown",
    "patient out",
    "unknown: the prediction does not name its training sections",
]

SPLIT_MEANING: dict[str, str] = {
    "in training": "The model was trained on this very section: these figures say nothing about new tissue.",
    "section out, same patient in training": "The model knew other tissue of this patient: expect "
    "lower figures for a new one.",
    "section out, patient unknown": "The section was not trained on, but whose tissue it is is not stated: "
    "the patient may have been.",
    "patient out": "The model had never seen tissue of this patient: this is what to expect of a new one.",
    "unknown: the prediction does not name its training sections": "Whether the model had seen this tissue "
    "cannot be told: take the figures with care.",
}


@dataclass(frozen=True)
class Provenance:
    """What `uns["histoscribe"]` of a prediction says.

    Parameters
    ----------
    sections, patients : tuple of str
        That the model was trained on.
    model : str
        The model's SHA-256; empty where not stated.
    panel, target, command : str
        In words; empty where not stated.
    panel_genes : tuple of str
        The panel, most variable training gene first; empty where not stated.
    versions : dict of str to str
        Of packages.
    """

    sections: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    model: str = ""
    panel: str = ""
    target: str = ""
    command: str = ""
    panel_genes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    def split(self, section: str, patient: str) -> Split:
        """Whether the model had seen a section or its patient."""
        if not self.sections:
            return "unknown: the prediction does not name its training sections"
        if section in self.sections:
            return "in training"
        if patient in self.patients:
            return "section out, same patient in training"
        return "section out, patient unknown" if patient in ("", section) else "patient out"


def provenance(uns: Mapping[str, Any]) -> Provenance:
    """Read what a prediction says about itself; everything that is missing or odd stays empty."""
    own = _mapping(uns.get("histoscribe"))
    model = own.get("model")
    card = {**own, **_mapping(own.get("card")), **_mapping(model)}
    training = [_mapping(entry) for entry in _items(card.get("training"))]
    sections = _texts(card.get("training_sections")) or _texts(entry.get("section") for entry in training)
    patients = _texts(card.get("training_patients")) or _texts(entry.get("patient") for entry in training)
    digest = card.get("model_sha256") or card.get("sha256") or (model if isinstance(model, str) else "")
    return Provenance(
        sections=sections,
        patients=tuple(dict.fromkeys(patients)),
        model=str(digest),
        panel=str(card.get("panel_rule") or card.get("panel") or ""),
        target=str(card.get("target") or ""),
        command=str(own.get("command") or card.get("command") or ""),
        panel_genes=_texts(card.get("genes")),
        versions={str(name): str(value) for name, value in _mapping(card.get("versions")).items()},
    )


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return []
    return list(np.asarray(value, dtype=object).ravel()) if isinstance(value, np.ndarray) else list(value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in _items(value) if item is not None)
