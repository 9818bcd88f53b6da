"""What a result says of itself: one type with one set of keys, kept in `uns["histoscribe"]` of its table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Literal

from histoscribe.errors import SectionError
from histoscribe.verdict import Verdict, VerdictKind, read_verdict

if TYPE_CHECKING:
    from anndata import AnnData

KEY = "histoscribe"
RECORD_VERSION = 1

Kind = Literal["measured", "predicted", "restored", "generated"]
KINDS: tuple[Kind, ...] = ("measured", "predicted", "restored", "generated")

Split = Literal[
    "guided by these very spots",
    "guided by spots of this section",
    "in training",
    "section out, same patient in training",
    "section out, patient unknown",
    "patient out",
    "unknown: the prediction does not name its training sections",
]
SPLIT_MEANING: dict[Split, str] = {
    "guided by these very spots": "The model learned from these very spots: the figures say nothing about "
    "other spots, of which the held-out r of each gene tells.",
    "guided by spots of this section": "The model learned from measured spots of this slide: the figures are "
    "those of its other spots, and hold for no other slide.",
    "in training": "The model was trained on this very section: these figures say nothing about new tissue.",
    "section out, same patient in training": "The model knew other tissue of this patient: expect "
    "lower figures for a new one.",
    "section out, patient unknown": "The section was not trained on, but whose tissue it is is not stated: "
    "the patient may have been.",
    "patient out": "The model had never seen tissue of this patient: this is what to expect of a new one.",
    "unknown: the prediction does not name its training sections": "Whether the model had seen this tissue "
    "cannot be told: take the figures with care.",
}

_PACKAGES = ("napari-histoscribe", "torch", "torch-geometric", "numpy", "scipy", "scikit-learn")
_SCALES: dict[Kind | None, str] = {"measured": "counts", "predicted": "log1p", None: "counts"}


@dataclass(frozen=True)
class SlideReference:
    """Which image lies beneath spots: what it holds, and where it lay."""

    sha256: str = ""
    path: str = ""
    """`sha256` and `path`: of its content, and absolute; empty where an older file does not say."""
    relative: str = ""
    """From the folder of the file that names it; empty before it is written."""
    downsample: float = 1.0
    """Full-resolution pixels per pixel of its finest level, above 1 for a reduced image."""
    held: bool = False
    """Whether it lies among other things in a file of its own section; `sha256` is of its pixels then."""


@dataclass(frozen=True)
class AlignedTo:
    """The section or slide of this name that a section was aligned to, and how it lies there."""

    name: str
    affine: tuple[tuple[float, ...], ...]
    """From (row, column, 1) in µm of the section, as it was, to µm of the other; 3 × 3."""
    method: str = ""
    """`automatic`, `landmarks` or `by hand`."""
    residual_um: float | None = None
    """Median of what was left, where it was checked."""


@dataclass(frozen=True, eq=False)
class EvidenceRecord:
    """The reference spots of the model that made a prediction; arrays as h5ad holds them."""

    section: Any
    spot: Any
    """`section` and `spot`: their names, shape (spots,)."""
    crops: Any = None
    crop_ends: Any = None
    crop_of: Any = None
    """`crops`, `crop_ends` and `crop_of`: the bytes of encoded pictures, one after another, where each of
    them ends, and the spot that it shows; None without any."""


@dataclass(frozen=True, eq=False)
class Record:
    """What a section or a table says of itself; what is not known is None or empty."""

    kind: Kind | None = None
    name: str = ""
    patient: str = ""
    """`name` and `patient`: of the section or table."""
    mpp: float | None = None
    spot_um: float | None = None
    pitch_um: float | None = None
    """`mpp`, `spot_um` and `pitch_um`: µm per full-resolution pixel, diameter of spots, distance of
    neighbours."""
    cells: bool | None = None
    """Whether its spots are cells or beads without a lattice, which have no pitch."""
    scale: str = ""
    target: str = ""
    """`scale` and `target`: of the values, one of `bulk.SCALES` and in words."""
    slide: SlideReference | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """`warnings` and `notes`: everything doubtful when it was read; what was done when it was made."""
    regions: str = ""
    """Drawn on it, as GeoJSON."""
    aligned: AlignedTo | None = None
    command: str = ""
    """What was run to make it."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of packages."""
    seed: int | None = None
    model_name: str = ""
    model_sha256: str = ""
    model_licence: str = ""
    variant: str = ""
    encoder: str = ""
    """`model_name` to `encoder`: of the model that made it."""
    training_sections: tuple[str, ...] = ()
    training_patients: tuple[str, ...] = ()
    """`training_sections` and `training_patients`: what that model had seen."""
    split: str = ""
    """How it was held out, in a benchmark."""
    panel_rule: str = ""
    """How the model's genes were chosen."""
    panel_genes: tuple[str, ...] = ()
    """In the panel's order; empty where the table's columns have that order."""
    type_names: tuple[str, ...] = ()
    """Of `obs["spot_type"]`."""
    unlike_training_share: float | None = None
    """Share of tiles that are unlike the training tissue."""
    guide_section: str = ""
    guide_spots: int | None = None
    """`guide_section` and `guide_spots`: whose measured spots, and how many, a prediction on it learned
    from."""
    adapted: bool | None = None
    """Whether the imputer was adapted to the table."""
    overlap: int | None = None
    model_genes: int | None = None
    restored_values: int | None = None
    """`overlap` to `restored_values`: genes shared with the imputer, that it knows, values that it
    restored."""
    hidden_r: float | None = None
    hidden_cover: float | None = None
    """Of values hidden in a restored table: median r over genes, share in their 90 % intervals."""
    notice: str = ""
    """What must be said wherever it is shown."""
    evidence: EvidenceRecord | None = None
    verdict: Verdict | None = None
    """How far a prediction can be trusted; see `judged`."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """Keys of newer versions and of other programs, kept as they are."""

    @property
    def measured(self) -> bool:
        """Whether its values are counts that were measured; also where it does not say."""
        return self.kind in ("measured", None)

    @property
    def values(self) -> str:
        """Scale of the values: what is stated, else what the kind implies, else empty."""
        return self.scale or _SCALES.get(self.kind, "")

    def split_of(self, section: str, patient: str) -> Split:
        """Whether the model had seen a section or its patient."""
        if self.guide_spots:
            return "guided by spots of this section"
        if not self.training_sections:
            return "unknown: the prediction does not name its training sections"
        if section in self.training_sections:
            return "in training"
        if patient in self.training_patients:
            return "section out, same patient in training"
        return "section out, patient unknown" if patient in ("", section) else "patient out"

    def judged(self, section: str, patient: str) -> Verdict | None:
        """The verdict; of what earlier versions predicted, only whether the model had seen the tissue."""
        if self.verdict is not None or self.kind != "predicted":
            return self.verdict
        known: dict[Split, VerdictKind] = {
            "in training": "training",
            "section out, same patient in training": "same",
        }
        kind = known.get(self.split_of(section, patient))
        return None if kind is None else Verdict(kind, self.unlike_training_share)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values and arrays that h5ad can hold, under the record's own keys; nothing that is empty."""
        import numpy as np

        found: dict[str, Any] = {**self.other, "record_version": RECORD_VERSION}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in _NESTED or value in (None, "", (), {}):
                continue
            if isinstance(value, tuple):
                value = np.array(value, dtype=object)
            found[entry.name] = dict(value) if isinstance(value, Mapping) else value
        if self.kind == "generated":
            found["synthetic"] = True
        if self.slide is not None:
            found |= {"slide_downsample": float(self.slide.downsample), "slide_held": self.slide.held}
            texts = (self.slide.relative, self.slide.path, self.slide.sha256)
            found |= {key: text for key, text in zip(_OF_SLIDE, texts, strict=True) if text}
        if self.aligned is not None:
            values = {
                name: np.array(one) if name == "affine" else one for name, one in vars(self.aligned).items()
            }
            found |= {f"aligned_{name}": one for name, one in values.items() if one is not None}
        if self.verdict is not None:
            found |= {f"verdict_{name}": value for name, value in self.verdict.to_mapping().items()}
        if self.evidence is not None:
            parts = {entry.name: getattr(self.evidence, entry.name) for entry in fields(EvidenceRecord)}
            found |= {f"evidence_{name}": value for name, value in parts.items() if value is not None}
        return found

    @classmethod
    def from_mapping(cls, mapping: Any) -> Record:
        """Read a record, or what earlier versions wrote; what is missing or odd stays empty.

        Raises `SectionError` if a length is stated and is no positive number.
        """
        own = _mapping(mapping)
        if "record_version" not in own:
            own = _of_earlier_version(own)
        found: dict[str, Any] = {name: _length(own.pop(name), name) for name in _LENGTHS if name in own}
        for entry in fields(cls):
            if entry.name in own and entry.type in _READERS:
                found[entry.name] = _READERS[entry.type](own.pop(entry.name))
        kind = str(own.pop("kind", ""))
        found["kind"] = next((known for known in KINDS if known == kind), None)
        parts = {entry.name: own.pop(f"evidence_{entry.name}", None) for entry in fields(EvidenceRecord)}
        known = parts["section"] is not None and parts["spot"] is not None
        found |= {"slide": _slide_of(own), "evidence": EvidenceRecord(**parts) if known else None}
        found["aligned"] = _aligned_of(own)
        stated = {name: own.pop(name) for name in list(own) if name.startswith("verdict_")}
        found["verdict"] = read_verdict({name.removeprefix("verdict_"): v for name, v in stated.items()})
        for name in ("record_version", "synthetic"):
            own.pop(name, None)
        return cls(**found, other=own)


def record_of(table: AnnData) -> Record:
    """What a table says of itself; an empty record where it says nothing."""
    return Record.from_mapping(table.uns.get(KEY))


def keep_record(table: AnnData, record: Record) -> None:
    """Let a table say a record of itself, in place of what it said."""
    table.uns[KEY] = record.to_mapping()


def amend_record(table: AnnData, **changes: Any) -> None:
    """Change some fields of what a table says of itself."""
    keep_record(table, replace(record_of(table), **changes))


def running_command() -> str:
    """The command that runs now, without the folder of its program."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a model's numbers depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _of_earlier_version(own: dict[str, Any]) -> dict[str, Any]:
    """The keys of today for what was written before records had a version.

    The model's hash was `model_sha256`, `sha256` or `model`; a model's card could stand under `card` or
    `model`, also as JSON; training was a list of sections with their patients; restored sections were
    called predicted and `restored`.
    """
    model = own.pop("model", None)
    card = {**_mapping(own.pop("card", None)), **_mapping(model)}
    stated = {name: value for name, value in card.items() if name in _OF_CARD}
    own = {**own, **stated, "command": own.get("command") or stated.get("command", "")}
    training = [_mapping(entry) for entry in _items(own.pop("training", None))]
    for plural, single in (("training_sections", "section"), ("training_patients", "patient")):
        if not _texts(own.get(plural)):
            own[plural] = list(dict.fromkeys(str(entry[single]) for entry in training if single in entry))
    digest = own.pop("sha256", None) or ("" if _mapping(model) else _text(model))
    own.setdefault("model_sha256", digest)
    own.setdefault("panel_rule", own.pop("panel", ""))
    own.setdefault("panel_genes", own.pop("genes", ()))
    if own.pop("restored", False):
        own["kind"] = "restored"
    if own.get("kind") == "synthetic" or own.get("synthetic"):
        own["kind"] = "generated"
    place = _text(own.get("slide"))
    if place and any(kind(place).is_absolute() for kind in (PurePosixPath, PureWindowsPath)):
        own["slide_path"] = own.pop("slide")
    return own


def _slide_of(own: dict[str, Any]) -> SlideReference | None:
    relative, path, digest = (_text(own.pop(key, "")) for key in _OF_SLIDE)
    downsample = own.pop("slide_downsample", None)
    held = bool(own.pop("slide_held", False))
    if not (relative or path or digest):
        return None
    factor = 1.0 if downsample is None else _length(downsample, "slide_downsample")
    return SlideReference(digest, path, relative, factor, held)


def _aligned_of(own: dict[str, Any]) -> AlignedTo | None:
    import numpy as np

    name, affine, method, left = (own.pop(f"aligned_{entry.name}", None) for entry in fields(AlignedTo))
    try:
        matrix = np.array(affine, dtype=float)
    except (TypeError, ValueError):
        return None
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-6:
        return None
    return AlignedTo(_text(name), tuple(map(tuple, matrix.tolist())), _text(method), _number(left))


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return {str(key): inner for key, inner in value.items()} if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return []
    return list(value.ravel()) if hasattr(value, "ravel") else list(value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in _items(value) if item is not None)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _length(value: Any, name: str) -> float:
    number = _number(value)
    if number is None:
        raise SectionError(f"{name} is {value!r}, not a number", remedy="write the file again")
    if not 0 < number < float("inf"):
        raise SectionError(f"{name} is {number:g}, not a positive number", remedy="write the file again")
    return number


_OF_SLIDE = ("slide", "slide_path", "slide_sha256")
_OF_CARD = (
    *("command", "versions", "target", "panel_rule", "panel", "genes", "training", "sha256"),
    *("model_sha256", "training_sections", "training_patients"),
)
_LENGTHS = ("mpp", "spot_um", "pitch_um")
_NESTED = ("slide", "aligned", "evidence", "verdict", "other")
_READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "tuple[str, ...]": _texts,
    "int | None": _whole,
    "float | None": _number,
    "bool | None": lambda value: None if isinstance(value, Iterable) else bool(value),
    "Mapping[str, str]": lambda value: {key: str(inner) for key, inner in _mapping(value).items()},
}
