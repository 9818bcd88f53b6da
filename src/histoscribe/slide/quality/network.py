"""A small network that tells artefacts from clean tissue; `scripts/train_quality.py` trains it."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

PIXEL_UM, SIDE = 2.0, 4
"""Of the picture that is looked at; pixels of 8 µm, which the network reads, to a side of a cell."""
CHANNELS = 19
"""That the network looks at."""
_STRIP, _HALO = 64, 24  # rows of cells told at once, and looked at above and below
_FAINT = 0.25  # summed optical density below which a colour tells nothing
_INKED = 1.6  # of both channels of colour against the slide's own: folds of the training have at most 1.2
_WEIGHTS = Path(__file__).with_name("weights.safetensors")


def seen_in(image: NDArray[np.uint8], glass: NDArray[np.floating]) -> NDArray[np.float16]:
    """By pixels of 8 µm: mean optical density in red, green and blue, ln of detail at three scales, and the
    least density in red and blue: two layers have no pale gaps between their nuclei, but dense nuclei do.

    `image`: RGB, 2 µm to a pixel; `glass` (3,): its brightness without tissue. Returns (rows, columns, 8).
    """
    from scipy.ndimage import gaussian_filter

    density = np.log10((glass.astype(np.float32) + 1) / (image.astype(np.float32) + 1)).clip(-0.05, 2)
    grey = density.mean(axis=2)
    soft = [grey, *(gaussian_filter(grey, sigma) for sigma in (1.0, 2.0, 4.0))]
    detail = np.stack([(finer - coarser) ** 2 for finer, coarser in pairwise(soft)], axis=-1)
    both = np.concatenate([density, detail], axis=-1)
    rows, columns = (side // SIDE for side in image.shape[:2])
    cut = both[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 6)
    means = cut.mean(axis=(1, 3))
    means[..., 3:] = np.log(means[..., 3:] + 1e-5)
    palest = cut[..., [0, 2]].min(axis=(1, 3))
    return np.concatenate([means, palest], axis=-1, dtype=np.float16)


def chances(seen: NDArray[np.floating], on: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How likely each cell is tissue, pen, blur, fold or bubble, shape (5, rows, columns).

    `seen`: see `seen_in`; `on` (rows, columns): cells of tissue, with which the slide's own colour, darkness
    and sharpness are found. The mean over the four ways of turning the slide.
    """
    import torch
    from safetensors.torch import load_file
    from torch.nn.functional import avg_pool2d

    weights = {name: one.float() for name, one in load_file(_WEIGHTS).items()}
    rows, columns = on.shape
    own = own_look(seen, on)
    found = []
    for first in range(0, rows, _STRIP):
        top, last = max(0, first - _HALO), min(rows, first + _STRIP)
        looked = channels(seen[top * SIDE : (last + _HALO) * SIDE], own)
        even = [(0, 0), *((0, -side % 16) for side in looked.shape[1:])]
        x = torch.from_numpy(np.pad(looked, even, mode="edge"))[None]
        with torch.inference_mode():
            ways = (
                avg_pool2d(forward(x.rot90(way, (2, 3)), weights).softmax(1), SIDE).rot90(-way, (2, 3))
                for way in range(4)
            )
            told = torch.cat(list(ways)).mean(0)
            inked = avg_pool2d(x[:, 9:11], SIDE)[0].norm(dim=0) > _INKED
            told[1] += told[2:4].sum(0) * inked  # ink looks like folds, or blur, of another colour
            told[2:4] *= ~inked
            found.append(told[:, first - top : last - top, :columns].numpy())
    return np.concatenate(found, axis=1)


def own_look(seen: NDArray[np.floating], on: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Medians over a slide's tissue: summed density, shares of red and blue, two ratios of detail."""
    tissue = seen[np.kron(on, np.ones((SIDE, SIDE), dtype=np.bool_))].astype(np.float32)
    stained = tissue[tissue[:, :3].sum(axis=1) > _FAINT]
    tissue = stained if len(stained) else tissue
    total = tissue[:, :3].sum(axis=1)
    shares = tissue[:, [0, 2]] / np.maximum(total, 0.01)[:, None]
    looks = np.column_stack([total, shares, -np.diff(tissue[:, 3:6], axis=1)])
    return np.asarray(np.median(looks, axis=0))


def channels(seen: NDArray[np.floating], own: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network looks at, shape (CHANNELS, rows, columns).

    `seen`: see `seen_in`; `own`: see `own_look`.
    """
    density = seen[..., :3].astype(np.float32)
    fine, middle, coarse, *palest = np.moveaxis(seen[..., 3:], -1, 0)
    total = density.sum(axis=-1)
    tells = np.clip(total / _FAINT, 0, 1)
    red, blue = ((density[..., at] / np.maximum(total, 0.01)).clip(-0.2, 1.2) for at in (0, 2))
    looked = [
        *np.moveaxis(2 * density, -1, 0),
        *(6 * (share - 0.33) * tells for share in (red, blue)),
        *((fine + 7) / 2, (middle + 6) / 2, (coarse + 6) / 2),
        total / own[0] - 1,
        *(8 * (share - typical) * tells for share, typical in ((red, own[1]), (blue, own[2]))),
        *((fine - middle - own[3]) / 1.5, (middle - coarse - own[4]) / 1.5),
        *(3 * one for one in palest),
        *(np.log((3 * one.clip(0) + 0.1) / own[0]) for one in (density[..., 0], density[..., 2], *palest)),
    ]
    return np.stack(looked).astype(np.float32)


def forward(x: "Tensor", weights: dict[str, Any]) -> "Tensor":
    """From pixels of 8 µm, by way of cells of 32 to 128 µm, to what each pixel of 8 µm shows."""
    from torch import cat
    from torch.nn.functional import avg_pool2d, conv2d, interpolate, relu

    def layer(x: "Tensor", *names: str) -> "Tensor":
        for name in names:
            x = relu(conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1))
        return x

    def joined(x: "Tensor", finer: "Tensor") -> "Tensor":
        return cat([interpolate(x, size=finer.shape[-2:], mode="bilinear"), finer], 1)

    finest = layer(x, "a", "a2")
    fine = layer(avg_pool2d(finest, 2), "b", "b2")
    cells = layer(avg_pool2d(fine, 2), "c", "c2")
    wide = layer(avg_pool2d(cells, 2), "d", "d2")
    x = layer(avg_pool2d(wide, 2), "e", "e2")
    x = layer(joined(layer(joined(layer(joined(x, wide), "f"), cells), "g"), fine), "h")
    x = layer(joined(x, finest), "i", "i2")
    return conv2d(x, weights["out.weight"], weights["out.bias"])
