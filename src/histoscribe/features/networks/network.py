"""Networks: a checkpoint as a tile encoder, on a processor or in half precision on a GPU."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from histoscribe.arrays import Floats, Pixels
from histoscribe.errors import ModelError
from histoscribe.features.device import one_thread, precision_of, resolve_device
from histoscribe.features.encoder import check_crops
from histoscribe.features.networks import timm_models, transformers_models
from histoscribe.features.networks.checkpoint import Checkpoint, read_checkpoint

Forward = Callable[["Tensor"], "Tensor"]
_BATCH = {"cuda": 64, "mps": 16, "cpu": 4}
_LOCK = threading.Lock()


@dataclass(frozen=True)
class NetworkEncoder:
    """A learned network that describes tiles; what is sent to another process is its folder's path."""

    folder: Path
    """Absolute; a worker of a cluster must find the same files there."""
    name: str
    """With the hash of its files; checked again wherever the weights are loaded."""
    dimension: int
    crop_um: float
    mpp: float
    """`crop_um` and `mpp`: side of a tile in µm and µm per pixel."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`; on `auto` each worker takes the best that it has."""

    @property
    def side(self) -> int:
        """Pixels of a tile."""
        return round(self.crop_um / self.mpp)

    @cached_property
    def _colours(self) -> tuple[Floats, Floats]:
        checkpoint = read_checkpoint(self.folder)
        return np.array(checkpoint.mean, np.float32), np.array(checkpoint.std, np.float32)

    def encode(self, crops: Pixels) -> Floats:
        """Describe crops of shape (n, side, side, 3), RGB, as an array of shape (n, dimension).

        On a processor one thread computes, in single precision, so that the digits do not depend on how many
        workers share the machine; on a GPU it is half precision. Raises `SettingError` if the crops have
        another shape or dtype; `ModelError` if the folder's files are no longer those that the name states,
        or give no finite numbers.
        """
        check_crops(crops, self.side, self.name)
        device = resolve_device(self.device)
        with _LOCK:
            forward = _loaded(self.folder, self.name, device)
        return described(forward, crops, self.dimension, self._colours, device, self.name)


def described(
    forward: Forward,
    crops: Pixels,
    dimension: int,
    colours: tuple[Floats, Floats],
    device: torch.device,
    name: str,
) -> Floats:
    """What a network says of crops (n, side, side, 3), a few at a time: (n, dimension); see `encode`.

    `colours` are mean and standard deviation of RGB in 0-1, each of shape (3,); `forward` takes batches of
    shape (n, 3, side, side). Raises `ModelError` if it gives numbers that are not finite.
    """
    mean, std = (torch.from_numpy(colour).to(device) for colour in colours)
    precision = precision_of(device)
    found = torch.empty(len(crops), dimension, dtype=precision, device=device)
    size = _BATCH[device.type]
    # Bytes travel, and the device makes numbers of them; what it found stays there until all is asked.
    with torch.inference_mode(), one_thread() if device.type == "cpu" else nullcontext():
        for start in range(0, len(crops), size):
            batch = torch.from_numpy(np.ascontiguousarray(crops[start : start + size])).to(device)
            light = ((batch.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
            found[start : start + size] = forward(light.to(precision))
    out: Floats = found.float().cpu().numpy()
    if not np.isfinite(out).all():
        remedy = "fetch it again"
        raise ModelError("this encoder gives numbers that are not finite", where=name, remedy=remedy)
    return out


def network_encoder(folder: Path | str, *, device: str = "auto") -> NetworkEncoder:
    """Make an encoder of a folder; its weights are loaded when they are first needed.

    Raises `ModelError` if the folder holds no network that is known here, `DependencyError` if the package
    that builds it is not installed, `SettingError` if the device is not there.
    """
    resolve_device(device)
    checkpoint = read_checkpoint(folder)
    return NetworkEncoder(
        folder=checkpoint.folder,
        name=checkpoint.name,
        dimension=_library(checkpoint).dimension(checkpoint),
        crop_um=checkpoint.side * checkpoint.mpp,
        mpp=checkpoint.mpp,
        device=device,
    )


def _library(checkpoint: Checkpoint) -> Any:
    """The module that builds this network."""
    if checkpoint.published is not None:
        return timm_models if checkpoint.published.library == "timm" else transformers_models
    if "model_type" in checkpoint.config:
        return transformers_models
    if "architecture" in checkpoint.config:
        return timm_models
    problem = "its config.json names no network"
    raise ModelError(problem, where=checkpoint.folder, remedy="give a folder saved by transformers or timm")


@lru_cache(maxsize=2)
def _loaded(folder: Path, name: str, device: torch.device) -> Forward:
    """The network on its device, once in a process."""
    checkpoint = read_checkpoint(folder)
    if checkpoint.name != name:
        remedy = "use the files that the features or the model were made with"
        raise ModelError(f"this encoder is {checkpoint.name}, not {name}", where=folder, remedy=remedy)
    forward: Forward = _library(checkpoint).load(checkpoint, device)
    return forward
