"""The texture encoder, which comes along, by itself and beside the built-in one."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histoscribe.arrays import Floats, Pixels
from histoscribe.errors import ModelError
from histoscribe.features.builtin.encoder import BuiltinEncoder
from histoscribe.features.encoder import check_crops

if TYPE_CHECKING:
    import torch

    from histoscribe.features.networks.network import Forward

WEIGHTS = Path(__file__).with_name("weights.safetensors")
CARD = Path(__file__).with_name("card.json")
_FIRST = 3  # the stage from which on outputs are described
_CHANNELS = (40, 80, 112, 192)
_LIGHT = np.full(3, 127 / 255, np.float32), np.full(3, 128 / 255, np.float32)
"""Mean and deviation of light from 0 to 1 that the published weights were trained with."""
_LOCK = threading.Lock()


class TextureEncoder:
    """Means and deviations of the middle layers of EfficientNet-Lite0 over a crop of 224 µm.

    The network learned from photographs (ImageNet), never from tissue. A crop's descriptors do not depend
    on the other crops; on a processor one thread computes them in single precision.

    `device`: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
    """

    name = "texture-1"
    crop_um = 224.0
    mpp = 1.0
    dimension = 2 * sum(_CHANNELS)

    def __init__(self, device: str = "auto") -> None:
        self.device = device

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """What each number is, in order."""
        return tuple(
            f"texture, {kind} of channel {channel} of stage {stage}, 224 µm window"
            for stage, channels in enumerate(_CHANNELS, start=_FIRST)
            for kind in ("mean", "deviation")
            for channel in range(1, channels + 1)
        )

    def encode(self, crops: Pixels) -> Floats:
        """Describe crops of shape (n, 224, 224, 3), RGB, as an array of shape (n, 848).

        Raises `SettingError` if the crops have another shape or dtype, or the device is not there;
        `ModelError` if the weights that came along are damaged.
        """
        from histoscribe.features.device import resolve_device
        from histoscribe.features.networks.network import described

        check_crops(crops, round(self.crop_um / self.mpp), self.name)
        device = resolve_device(self.device)
        with _LOCK:
            forward = _loaded(device)
        return described(forward, crops, self.dimension, _LIGHT, device, self.name)


class JoinedEncoder:
    """The built-in descriptors, followed by those of texture over the middle 224 µm of the same crop.

    `device`: of the texture encoder.
    """

    name = f"{BuiltinEncoder.name}+{TextureEncoder.name}"
    crop_um = BuiltinEncoder.crop_um
    mpp = BuiltinEncoder.mpp

    def __init__(self, device: str = "auto") -> None:
        self.device = device
        self.parts = BuiltinEncoder(), TextureEncoder(device)

    @property
    def dimension(self) -> int:
        """Length of one descriptor."""
        return sum(part.dimension for part in self.parts)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each number is, in order."""
        return self.parts[0].feature_names + self.parts[1].feature_names

    def encode(self, crops: Pixels) -> Floats:
        """Describe crops of shape (n, 512, 512, 3), RGB, as an array of shape (n, dimension).

        Raises as its parts do.
        """
        builtin, texture = self.parts
        check_crops(crops, round(self.crop_um / self.mpp), self.name)
        margin = round((self.crop_um - texture.crop_um) / self.mpp / 2)
        middle = crops[:, margin:-margin, margin:-margin]
        return np.concatenate([builtin.encode(crops), texture.encode(middle)], axis=1)


@lru_cache(maxsize=2)
def _loaded(device: torch.device) -> Forward:
    """The network on its device, once in a process."""
    import torch
    from safetensors.torch import load

    from histoscribe.features.device import precision_of
    from histoscribe.features.texture.network import stages, unpacked

    content, card = WEIGHTS.read_bytes(), json.loads(CARD.read_text(encoding="utf-8"))
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        problem = "the weights of the texture encoder do not match their card"
        raise ModelError(problem, where=WEIGHTS, remedy="install again")
    order: Any = {"device": device, "dtype": precision_of(device), "memory_format": torch.channels_last}
    weights = {
        name: (weight.to(**order), bias.to(device, order["dtype"]))
        for name, (weight, bias) in unpacked(load(content)).items()
    }

    def forward(light: torch.Tensor) -> torch.Tensor:
        found = list(stages(light.contiguous(memory_format=torch.channels_last), weights))[_FIRST - 1 :]
        pooled = [part for out in found for part in (out.mean((2, 3)), out.std((2, 3), correction=0))]
        return torch.cat(pooled, dim=1)

    return forward
