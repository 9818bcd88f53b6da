"""EfficientNet-Lite0 up to its sixth stage, as functions of an image and a table of weights.

Tan and Le, "EfficientNet" (ICML 2019), in the Lite form of its authors' repository: inverted bottlenecks
without squeeze-and-excitation, ReLU6 throughout, padding as TensorFlow does it. Batch normalisation is
folded into the convolutions; weights lie in 16 bits with one factor per output channel.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor
from torch.nn import functional as F

STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2))
"""Blocks, and stride of the first of them, per stage."""

Convolution = tuple[Tensor, Tensor]


def stages(light: Tensor, weights: Mapping[str, Convolution]) -> Iterator[Tensor]:
    """Yield the output of each stage, shape (n, channels, rows, columns), for images (n, 3, side, side)."""
    found = F.relu6(_convolved(light, weights["stem"], 2))
    for stage, (blocks, stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            found = _bottleneck(found, weights, f"{stage}.{block}", 1 if block else stride)
        yield found


def _bottleneck(inputs: Tensor, weights: Mapping[str, Convolution], name: str, stride: int) -> Tensor:
    expand = weights.get(f"{name}.expand")
    wide = inputs if expand is None else F.relu6(_convolved(inputs, expand))
    out = _convolved(F.relu6(_convolved(wide, weights[f"{name}.depth"], stride)), weights[f"{name}.project"])
    return out + inputs if out.shape == inputs.shape else out


def _convolved(inputs: Tensor, convolution: Convolution, stride: int = 1) -> Tensor:
    """Convolve so that rows and columns are divided by the stride; what is odd of the border comes last."""
    weight, bias = convolution
    border = weight.shape[-1] - stride
    if border > 0:
        before, after = border // 2, border - border // 2
        inputs = F.pad(inputs, (before, after, before, after))
    return F.conv2d(inputs, weight, bias, stride, groups=inputs.shape[1] // weight.shape[1])


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Convolution]:
    """The weights from tensors as they are stored: `weight`, `factor`, `bias` after a convolution's name."""
    names = {name.rpartition(".")[0] for name in tensors}
    return {
        name: (tensors[f"{name}.weight"] * tensors[f"{name}.factor"], tensors[f"{name}.bias"])
        for name in names
    }
