"""Parts that owners put before or behind a network of timm's: stems, pooling, projections.

Parts carry the names that they have in the owners' files, so that weights are loaded without exception.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_HEADS = 8


class ConvStem(nn.Module):
    """Convolutions that make a grid of a quarter of the image's side, in place of a patch embedding."""

    def __init__(self, *, img_size: Any, embed_dim: int, norm_layer: Any = None, **_: Any) -> None:
        super().__init__()
        side = img_size if isinstance(img_size, int) else img_size[0]
        self.img_size, self.patch_size, self.grid_size = (side, side), (4, 4), (side // 4, side // 4)
        self.num_patches = self.grid_size[0] ** 2
        first, second, width = embed_dim // 8, embed_dim // 4, embed_dim
        self.proj = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, 2, 1, bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(),
            nn.Conv2d(second, width, 1),
        )
        self.norm = nn.Identity() if norm_layer is None else norm_layer(width)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 3, side, side) as a grid (n, side / 4, side / 4, width)."""
        grid: Tensor = self.norm(self.proj(images).permute(0, 2, 3, 1))
        return grid


class _Query(nn.Module):
    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, dimension))
        self.attn = nn.MultiheadAttention(dimension, _HEADS, kdim=width, vdim=width, batch_first=True)
        self.ln_q, self.ln_k = nn.LayerNorm(dimension), nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        seen = self.ln_k(tokens)
        asked = self.ln_q(self.query).expand(len(seen), -1, -1)
        found: Tensor = self.attn(asked, seen, seen, need_weights=False)[0]
        return found[:, 0]


class Attended(nn.Module):
    """A network whose tokens one learned query looks at: CONCH (Lu et al., Nature Medicine 2024)."""

    def __init__(self, trunk: Any, dimension: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.attn_pool_contrast = _Query(dimension, trunk.num_features)
        self.ln_contrast = nn.LayerNorm(dimension)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 3, side, side) as descriptors (n, dimension)."""
        pooled: Tensor = self.ln_contrast(self.attn_pool_contrast(self.trunk.forward_features(images)))
        return pooled


class Projected(nn.Module):
    """A network whose class token goes through two layers, to unit length: KEEP."""

    def __init__(self, trunk: Any, dimension: int) -> None:
        super().__init__()
        self.visual = trunk
        widths = nn.Linear(trunk.num_features, dimension), nn.Linear(dimension, dimension)
        self.visual_head = nn.Sequential(widths[0], nn.GELU(), widths[1])

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 3, side, side) as descriptors (n, dimension)."""
        return functional.normalize(self.visual_head(self.visual.forward_features(images)[:, 0]), dim=-1)
