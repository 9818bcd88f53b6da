"""Vision transformers that the package timm builds: UNI, UNI2, Virchow2, H-optimus, GigaPath."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from histoscribe.errors import DependencyError, ModelError, reason_of
from histoscribe.features.device import precision_of
from histoscribe.features.networks.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_DAMAGED = "check that config.json and weights belong together, or fetch the encoder again"


def dimension(checkpoint: Checkpoint) -> int:
    """Length of one descriptor; raises `ModelError` or `DependencyError`."""
    import torch

    with torch.device("meta"):
        width = int(_build(checkpoint).num_features)
    return 2 * width if _pooled(checkpoint) else width


def load(checkpoint: Checkpoint, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Read the weights; return what turns a batch (n, 3, side, side) into descriptors (n, dimension).

    Raises `ModelError` if the weights are damaged or not those of the network.
    """
    import torch
    from safetensors.torch import load_file

    model = _build(checkpoint)
    try:
        weights = {
            key: value
            for path in sorted(checkpoint.folder.glob("*.safetensors"))
            for key, value in load_file(path).items()
            if not key.startswith("head.")  # of a classifier, which is left out
        }
        model.load_state_dict(weights, strict=True)
    except Exception as error:  # safetensors and torch raise in many ways
        raise ModelError(
            f"its weights cannot be loaded ({reason_of(error)})", where=checkpoint.folder, remedy=_DAMAGED
        ) from error
    model.to(device, precision_of(device)).eval()
    pooled, skipped = _pooled(checkpoint), int(getattr(model, "num_prefix_tokens", 1))

    def forward(batch: Tensor) -> Tensor:
        tokens: Tensor = model.forward_features(batch)
        return torch.cat([tokens[:, 0], tokens[:, skipped:].mean(1)], dim=1) if pooled else tokens[:, 0]

    return forward


def _pooled(checkpoint: Checkpoint) -> bool:
    published = checkpoint.published
    return published is not None and published.pooling == "class and mean"


def _build(checkpoint: Checkpoint) -> Any:
    """The network without its classifier and without weights."""
    try:
        import timm
        from timm.layers import SwiGLUPacked
    except ImportError as error:
        problem = "this encoder needs the package timm, and torchvision of the same build as torch"
        remedy = "pip install 'napari-histoscribe[timm]'"
        raise DependencyError(problem, where=checkpoint.folder.name, remedy=remedy) from error
    from torch.nn import SiLU

    arguments = checkpoint.config.get("model_args")
    arguments = dict(arguments) if isinstance(arguments, dict) else {}
    if checkpoint.published is not None:
        arguments |= checkpoint.published.arguments
    layers = {"SwiGLUPacked": SwiGLUPacked, "SiLU": SiLU}
    for key, value in arguments.items():
        arguments[key] = layers.get(value, value) if isinstance(value, str) else value
    arguments["num_classes"] = 0
    try:
        return timm.create_model(str(checkpoint.config["architecture"]), pretrained=False, **arguments)
    except Exception as error:  # timm checks names and arguments in many ways
        raise ModelError(
            f"timm cannot build it ({reason_of(error)})", where=checkpoint.folder, remedy=_DAMAGED
        ) from error
