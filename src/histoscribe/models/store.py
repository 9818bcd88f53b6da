"""Writing, finding and reading a model's folder: `weights.safetensors` and `card.json`, never a pickle."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import ModelError, told_as
from histoscribe.files import replacing
from histoscribe.models.card import Card

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
FOLDER = Path(__file__).parent / "weights"
_MAX_WEIGHTS = 8 * 1024**3
_MAX_CARD = 32 * 1024**2
_ANEW = "copy or fetch the model's folder anew"

Tensors = Mapping[str, NDArray[Any]]


def weights_hash(tensors: Tensors) -> str:
    """The SHA-256 that `weights.safetensors` with these tensors has, as 64 hexadecimal digits."""
    return hashlib.sha256(_serialised(tensors)).hexdigest()


def save_model(folder: str | PathLike[str], tensors: Tensors, card: Card) -> Card:
    """Write a model's folder; what stood there before is replaced at once or not at all.

    Parameters
    ----------
    folder : path
        The folder to make. An existing one is replaced only if it is a model's folder or empty.
    card : Card
        Its `sha256` is set here.

    Returns
    -------
    Card
        The card as written.

    Raises
    ------
    ModelError
        If something else than a model stands at `folder`.
    StorageError
        If it cannot be written.
    """
    folder = Path(folder)
    own = (folder / CARD_FILE).is_file() or (folder.is_dir() and not any(folder.iterdir()))
    if folder.exists() and not own:
        remedy = "choose a new folder's name"
        raise ModelError("something else than a model stands here", where=folder, remedy=remedy)
    content = _serialised(tensors)
    card = replace(card, sha256=hashlib.sha256(content).hexdigest())
    with replacing(folder) as fresh:
        fresh.mkdir()
        (fresh / WEIGHTS_FILE).write_bytes(content)
        (fresh / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    return card


def load_model(
    folder: str | PathLike[str], *, kind: str | None = None
) -> tuple[dict[str, NDArray[Any]], Card]:
    """Read a model's folder and check that the weights are those that the card speaks of.

    Parameters
    ----------
    kind : str, optional
        What the caller can use: `predictor`, `imputer` or `generator`.

    Raises
    ------
    ModelError
        If a file is missing, too large, damaged or foreign, the checksum differs, or the kind is another.
    """
    folder = Path(folder)
    card = read_card(folder)
    if kind is not None and card.kind != kind:
        remedy = f"choose a {kind}'s folder"
        raise ModelError(f"this model is a {card.kind}, a {kind} is needed", where=folder, remedy=remedy)
    path = _file(folder, WEIGHTS_FILE, _MAX_WEIGHTS)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"the weights do not match the card (checksum {digest[:12]}…, the card says "
            f"{card.sha256[:12]}…), so the file is damaged or was exchanged",
            where=path,
            remedy=_ANEW,
        )
    from safetensors import SafetensorError
    from safetensors.numpy import load

    wrong = (SafetensorError, ValueError, KeyError, TypeError)
    with told_as(ModelError, "this is no safetensors file", *wrong, where=path, remedy=_ANEW):
        tensors = load(content)
    return tensors, card


def read_card(folder: str | PathLike[str]) -> Card:
    """Read only the card of a model's folder.

    Raises
    ------
    ModelError
        If it is missing, too large, or no card.
    """
    folder = Path(folder)
    path = _file(folder, CARD_FILE, _MAX_CARD)
    with told_as(ModelError, "the card is not JSON", ValueError, RecursionError, where=path, remedy=_ANEW):
        content = json.loads(path.read_text(encoding="utf-8"))
    return Card.from_dict(content, where=path)


def require_shapes(
    tensors: Tensors, expected: Mapping[str, tuple[int, ...]], *, where: str | PathLike[str] | None = None
) -> None:
    """Check that every expected tensor is there, in its shape, with finite numbers.

    Raises
    ------
    ModelError
        Naming the first tensors that are missing, of a wrong shape or not finite.
    """
    faults = []
    for name, shape in expected.items():
        if name not in tensors:
            faults.append(f"{name} is missing")
        elif tensors[name].shape != tuple(shape):
            faults.append(f"{name} has shape {tensors[name].shape}, not {tuple(shape)}")
        elif tensors[name].dtype.kind == "f" and not np.isfinite(tensors[name]).all():
            faults.append(f"{name} holds values that are not finite")
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ModelError(f"the weights do not fit: {', '.join(faults[:3])}{more}", where=where, remedy=_ANEW)


def bundled_names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in FOLDER.glob("*/card.json"))


def bundled(name: str | PathLike[str]) -> Path:
    """The folder of a bundled model; a path to a model's folder is given back as it is.

    Raises
    ------
    ModelError
        If it is neither.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if str(name) in bundled_names():
        return FOLDER / str(name)
    problem = "there is no model's folder here, and no model of this name comes with Histoscribe"
    remedy = f"name a folder, or one of {', '.join(bundled_names()) or '(none is bundled)'}"
    raise ModelError(problem, where=name, remedy=remedy)


def _serialised(tensors: Tensors) -> bytes:
    from safetensors.numpy import save

    return bytes(save({name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}))


def _file(folder: Path, name: str, limit: int) -> Path:
    path = folder / name
    if not folder.is_dir():
        raise ModelError("there is no model's folder here", where=folder, remedy="check the path")
    if not path.is_file():
        problem = f"this folder holds no {name}, so it is not a whole model"
        raise ModelError(problem, where=folder, remedy=_ANEW)
    size = path.stat().st_size
    if size > limit:
        problem = f"the file has {size:,} bytes, more than a model can have ({limit:,})"
        raise ModelError(problem, where=path, remedy=_ANEW)
    return path
