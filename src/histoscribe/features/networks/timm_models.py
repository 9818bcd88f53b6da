"""Networks that the package timm builds, and what owners put before or behind them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import SiLU

from histoscribe.errors import DependencyError, ModelError, told_as
from histoscribe.features.device import precision_of
from histoscribe.features.networks.checkpoint import Checkpoint
from histoscribe.features.networks.heads import Attended, ConvStem, Projected

_DAMAGED = "check that config.json and weights belong together, or fetch the encoder again"
_AROUND = ("module.", "teacher.", "backbone.", "encoder.", "vision_encoder.", "visual.")
"""What owners wrap their network in, taken off where any name begins with it; other names are of others."""
_OF_OTHERS = (
    "head.", "fc.", "mask_token", "attn_pool_caption.", "ln_caption.", "proj_contrast", "logit_scale", "text",
    "language_head.", "vision_head.",
)  # fmt: skip
_BUFFERS = ("attn_mask", "relative_position_index")
_CHUNKED = re.compile(r"^blocks\.\d+\.(\d+\.)")
_DOWN = re.compile(r"^layers\.(\d+)\.downsample")
_TWICE = re.compile(r"\.lora_[AB]\.|\.base_layer\.")


def dimension(checkpoint: Checkpoint) -> int:
    """Length of one descriptor; raises `ModelError` or `DependencyError`."""
    if checkpoint.published is not None and checkpoint.published.pooling in ("attention", "projection"):
        return checkpoint.published.dimension
    with torch.device("meta"):
        width = int(_build(checkpoint).num_features)
    return 2 * width if _pooling(checkpoint) == "class and mean" else width


def load(checkpoint: Checkpoint, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Read the weights; return what turns a batch (n, 3, side, side) into descriptors (n, dimension).

    Raises `ModelError` if the weights are damaged or not those of the network.
    """
    from safetensors.torch import load_file

    model = network(checkpoint)
    # safetensors, timm and torch raise in many ways
    problem, where = "its weights cannot be loaded", checkpoint.folder
    with told_as(ModelError, problem, Exception, where=where, remedy=_DAMAGED):
        files = sorted(checkpoint.folder.glob("*.safetensors"))
        held = {key: value for path in files for key, value in load_file(path).items()}
        model.load_state_dict(named_as_timm(held, model), strict=True)
    model.to(device, precision_of(device)).eval()
    pooling, skipped = _pooling(checkpoint), int(getattr(model, "num_prefix_tokens", 1))

    def forward(batch: Tensor) -> Tensor:
        if pooling not in ("class", "class and mean"):
            pooled: Tensor = model(batch)
            return pooled
        tokens: Tensor = model.forward_features(batch)
        both = pooling == "class and mean"
        return torch.cat([tokens[:, 0], tokens[:, skipped:].mean(1)], dim=1) if both else tokens[:, 0]

    return forward


def network(checkpoint: Checkpoint) -> Any:
    """The whole network, with a head of its own where its owners put one on it; weights are random."""
    trunk = _build(checkpoint)
    published = checkpoint.published
    if published is None or published.pooling not in ("attention", "projection"):
        return trunk
    return (Attended if published.pooling == "attention" else Projected)(trunk, published.dimension)


def named_as_timm(weights: Mapping[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Weights as their owners wrote them, under the names that timm's network has for them.

    What is wrapped is unwrapped, blocks in chunks are laid one after the other, DINOv2's and BEiT-3's names
    become timm's, and classifiers and text networks are left out. Raises `ModelError` if they are changes to
    another network's weights.
    """
    from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

    if any(map(_TWICE.search, weights)):
        problem = "these are changes (LoRA) to another network's weights, not a network"
        raise ModelError(problem, remedy="merge both with their owners' code, and convert what comes of it")
    own = set(model.state_dict())
    found = dict(weights)
    for around in _AROUND:
        if any(key.startswith(around) for key in found) and not any(key.startswith(around) for key in own):
            kept = {key: value for key, value in found.items() if key.startswith(around)}
            found = {key.removeprefix(around): value for key, value in kept.items()}
    found = {_CHUNKED.sub(r"blocks.\1", key): value for key, value in found.items()}
    found = {re.sub(r"(\.ls[12])\.weight$", r"\1.gamma", key): value for key, value in found.items()}
    if isinstance(model, VisionTransformer) and (
        "mask_token" in found or any(key.startswith("beit3.") for key in found)
    ):
        found = checkpoint_filter_fn(found, model)
        found = {key.replace("layer_norm.", "norm."): value for key, value in found.items()}
    if any(key.startswith("layers.0.downsample.") for key in found):  # as timm before 0.9 counted them
        found = {_DOWN.sub(lambda at: f"layers.{int(at[1]) + 1}.downsample", k): v for k, v in found.items()}
    found = _one_pooler(found)
    dropped = tuple(name for name in _OF_OTHERS if not any(key.startswith(name) for key in own))
    return {
        key: value
        for key, value in found.items()
        if not key.startswith((*dropped, "text", "language_head", "vision_head"))
        and not key.endswith(_BUFFERS)
    }


def _one_pooler(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """CONCH v1.5's attention, whose keys and values lie in one matrix, as PyTorch's own has them."""
    before, after = "attn_pool_contrast.to_", "attn_pool_contrast.attn."
    if f"{before}kv.weight" not in found:
        return found
    key, value = found.pop(f"{before}kv.weight").chunk(2)
    query, out = found.pop(f"{before}q.weight"), found.pop(f"{before}out.weight")
    found |= {f"{after}{name}_proj_weight": part for name, part in (("q", query), ("k", key), ("v", value))}
    found |= {f"{after}out_proj.weight": out, f"{after}out_proj.bias": torch.zeros(len(out))}
    return found | {f"{after}in_proj_bias": torch.zeros(3 * len(query))}


def _pooling(checkpoint: Checkpoint) -> str:
    return "class" if checkpoint.published is None else checkpoint.published.pooling


def _build(checkpoint: Checkpoint) -> Any:
    """The network without its classifier and without weights."""
    needed = "this encoder needs the package timm, and torchvision of the same build as torch"
    remedy, where = "pip install 'napari-histoscribe[timm]'", checkpoint.folder
    with told_as(DependencyError, needed, ImportError, where=where.name, remedy=remedy, reason=False):
        import timm
        from timm.layers import SwiGLUPacked
    stated = checkpoint.config.get("model_args")
    arguments = dict(stated) if isinstance(stated, dict) else {}
    architecture = str(checkpoint.config.get("architecture"))
    if checkpoint.published is not None:
        architecture = checkpoint.published.architecture
        arguments |= checkpoint.published.arguments
    layers = {"SwiGLUPacked": SwiGLUPacked, "SiLU": SiLU, "ConvStem": ConvStem}
    for key, value in arguments.items():
        arguments[key] = layers.get(value, value) if isinstance(value, str) else value
    arguments["num_classes"] = 0
    with told_as(ModelError, "timm cannot build it", Exception, where=where, remedy=_DAMAGED):
        return timm.create_model(architecture, pretrained=False, **arguments)
