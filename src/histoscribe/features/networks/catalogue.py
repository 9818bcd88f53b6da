"""Catalogue: published tile encoders, their terms, and how each wants its tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of RGB in 0-1, as most networks want them."""

Colour = tuple[float, float, float]
_NON_COMMERCIAL = "CC-BY-NC-ND-4.0: research only, no changed copies"
_SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"}


@dataclass(frozen=True)
class Published:
    """An encoder that others have published."""

    name: str
    """What `--encoder` and `fetch` call it."""
    repository: str
    """Where it lies on the Hugging Face hub."""
    library: Literal["transformers", "timm"]
    """What builds the network, an extra of this package: `transformers` or `timm`."""
    licence: str
    """Its terms when this was written; `fetch` shows those that the hub states today beside them."""
    gated: bool
    """Whether its owners want to be asked first, on the page of the repository."""
    side: int = 224
    """Pixels of a tile."""
    mpp: float = 0.5
    """µm per pixel of a tile."""
    mean: Colour = IMAGENET[0]
    std: Colour = IMAGENET[1]
    """`mean` and `std`: of RGB in 0-1, taken out before the network where its own files do not say."""
    pooling: Literal["class", "class and mean"] = "class"
    """`class`: the class token. `class and mean`: it, and the mean of the patch tokens after it."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """What timm's `create_model` needs besides the repository's own `config.json`; layers by name."""

    @property
    def page(self) -> str:
        """Where to read the terms and to ask for access."""
        return f"https://huggingface.co/{self.repository}"


_HIBOU = (0.7068, 0.5755, 0.722), (0.195, 0.2316, 0.1816)
_OPTIMUS = (0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517)
_OPTIMUS_ARGUMENTS = {"init_values": 1e-5, "dynamic_img_size": False}
_UNI = {"init_values": 1e-5, "dynamic_img_size": True}
_UNI2 = {
    "img_size": 224, "patch_size": 14, "depth": 24, "num_heads": 24, "embed_dim": 1536,
    "mlp_ratio": 2.66667 * 2, "no_embed_class": True, "reg_tokens": 8, **_UNI, **_SWIGLU,
}  # fmt: skip

PUBLISHED = {
    entry.name: entry
    for entry in (
        Published("phikon", "owkin/phikon", "transformers", "Owkin's own: not commercial", gated=False),
        Published("phikon-v2", "owkin/phikon-v2", "transformers", "Owkin's own: not commercial", gated=False),
        Published("hibou-b", "histai/hibou-b", "transformers", "Apache-2.0", True, 224, 0.5, *_HIBOU),
        Published("hibou-l", "histai/hibou-L", "transformers", "Apache-2.0", True, 224, 0.5, *_HIBOU),
        Published("uni", "MahmoodLab/UNI", "timm", _NON_COMMERCIAL, gated=True, arguments=_UNI),
        Published("uni2", "MahmoodLab/UNI2-h", "timm", _NON_COMMERCIAL, gated=True, arguments=_UNI2),
        Published(
            "virchow2", "paige-ai/Virchow2", "timm", _NON_COMMERCIAL, gated=True,
            pooling="class and mean", arguments=_SWIGLU,
        ),
        Published(
            "h-optimus-0", "bioptimus/H-optimus-0", "timm", "Apache-2.0", True, 224, 0.5, *_OPTIMUS,
            arguments=_OPTIMUS_ARGUMENTS,
        ),
        Published(
            "h-optimus-1", "bioptimus/H-optimus-1", "timm", _NON_COMMERCIAL, True, 224, 0.5, *_OPTIMUS,
            arguments=_OPTIMUS_ARGUMENTS,
        ),
        Published("gigapath", "prov-gigapath/prov-gigapath", "timm", "Apache-2.0: research only", gated=True),
    )
}  # fmt: skip
"""By name."""
