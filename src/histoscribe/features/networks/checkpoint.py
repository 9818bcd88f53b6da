"""Checkpoints: a folder with a network's configuration and its weights as safetensors, nothing else."""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from histoscribe.bounds.content import read_json
from histoscribe.errors import ModelError, told_as
from histoscribe.features.networks.catalogue import IMAGENET, PUBLISHED, Colour, Published

CONFIG, PREPROCESSING, ORIGIN = "config.json", "preprocessor_config.json", "origin.json"
MPP = 0.5  # µm per pixel where nobody says otherwise: what most pathology encoders learned at
_MOST_JSON = 2**20
_MOST_SIDE = 4096
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CONVERT = "convert them: histoscribe convert-weights FILE"


@dataclass(frozen=True)
class Checkpoint:
    """A folder that has been looked at."""

    folder: Path
    """Absolute."""
    config: dict[str, Any]
    """Its `config.json`."""
    published: Published | None
    """What it is a copy of, where `histoscribe fetch` wrote it."""
    side: int
    """Pixels of a tile."""
    mpp: float
    """µm per pixel of a tile."""
    mean: Colour
    std: Colour
    """`mean` and `std`: of RGB in 0-1."""

    @property
    def name(self) -> str:
        """The folder's name and the hash of all that decides on the result."""
        named = [*self.folder.glob("*.safetensors"), self.folder / CONFIG, self.folder / PREPROCESSING]
        files = sorted(path for path in named if path.is_file())
        # what changes when one of them is written anew
        stamp = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
        return f"{self.folder.name}@{_hash_of(self.folder, stamp)}"


def read_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """Look at a folder; weights are not read yet.

    Raises `ModelError` if a file is missing or damaged, or the weights are no safetensors.
    """
    folder = Path(folder).absolute()
    origin = _json(folder / ORIGIN)
    published = PUBLISHED.get(str(origin.get("name")))
    known = published is not None and published.library == "timm"  # the catalogue says how it is built
    if not (folder / CONFIG).is_file() and not known:
        problem = "no encoder lies in this folder"
        raise ModelError(problem, where=folder, remedy=f"it must hold {CONFIG} and model.safetensors")
    if not any(folder.glob("*.safetensors")):
        if any(next(folder.glob(pattern), None) for pattern in _PICKLES):
            problem = "its weights are a pickle, which can run any program and is never opened here"
            raise ModelError(problem, where=folder, remedy=_CONVERT)
        raise ModelError("it holds no weights", where=folder, remedy="put model.safetensors into it")
    config = _json(folder / CONFIG)
    steps = _json(folder / PREPROCESSING)
    # timm keeps what it calls the pretrained configuration inside of config.json.
    timm = config.get("pretrained_cfg")
    timm = timm if isinstance(timm, dict) else {}
    wrong, remedy = (TypeError, ValueError), f"check {PREPROCESSING} and {CONFIG}"
    problem = "how it wants its images is not stated well"
    with told_as(ModelError, problem, *wrong, where=folder, remedy=remedy):
        return Checkpoint(
            folder=folder,
            config=config,
            published=published,
            side=published.side if published else _side(config, steps, timm),
            mpp=published.mpp if published else MPP,
            mean=published.mean if published else _colour(steps, timm, "mean", IMAGENET[0]),
            std=published.std if published else _colour(steps, timm, "std", IMAGENET[1]),
        )


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return read_json(path, _MOST_JSON, ModelError, "fetch or copy the encoder again")


def _side(config: dict[str, Any], steps: dict[str, Any], timm: dict[str, Any]) -> int:
    """Pixels of a tile: of the crop, else of the image that the preprocessing makes, else of the network."""
    size = steps.get("crop_size") if steps.get("do_center_crop", False) else None
    size = size or steps.get("size") or (timm.get("input_size") or [None])[-1]
    size = size or config.get("image_size", 224)
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    if isinstance(size, list):
        size = size[-1]
    if not isinstance(size, int) or not 8 <= size <= _MOST_SIDE:
        raise ValueError(f"an image of {size!r} pixels")
    return size


def _colour(steps: dict[str, Any], timm: dict[str, Any], name: str, usual: Colour) -> Colour:
    red, green, blue = (float(value) for value in steps.get(f"image_{name}", timm.get(name, usual)))
    return red, green, blue


@lru_cache(maxsize=16)
def _hash_of(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, size, _ in stamp:
        digest.update(f"{name}\0{size}\0".encode())
        with (folder / name).open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
