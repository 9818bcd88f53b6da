"""Every published encoder at its full size, with random weights, beside timm's or transformers' own network.

`python benchmarks/encoders.py [NAME ...] [--json]` needs the extras `timm` and `foundation`. It writes each
network's weights, reads them as `histoscribe predict --encoder` does, describes one crop, and says the
largest difference from the library's own network and the seconds that a crop takes. Networks of transformers
have the sizes that their owners publish.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from histoscribe.features import encoder_named
from histoscribe.features.networks.catalogue import PUBLISHED, Published
from histoscribe.features.networks.checkpoint import read_checkpoint
from histoscribe.features.networks.timm_models import network

BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
GIANT = {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True}
SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "phikon": ("vit", {**BASE, "patch_size": 16}),
    "phikon-v2": ("dinov2", {**LARGE, "patch_size": 16}),
    "hibou-b": ("dinov2_with_registers", {**BASE, "patch_size": 14, "num_register_tokens": 4}),
    "hibou-l": ("dinov2_with_registers", {**LARGE, "patch_size": 14, "num_register_tokens": 4}),
    "midnight": ("dinov2", {**GIANT, "patch_size": 14}),
}


def made(one: Published, folder: Path) -> Any:
    """A network of random weights, written to a folder as a fetched one lies there."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    (folder / "origin.json").write_text(json.dumps({"name": one.name}))
    if one.library == "transformers":
        from transformers import AutoConfig, AutoModel

        kind, sizes = SIZES[one.name]
        model = AutoModel.from_config(AutoConfig.for_model(kind, image_size=one.side, **sizes)).eval()
        model.save_pretrained(folder)
        return model
    (folder / "model.safetensors").touch()
    model = network(read_checkpoint(folder)).eval()
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    return model


def bare(one: Published, model: Any, batch: torch.Tensor) -> torch.Tensor:
    """What the library's network says of a batch, pooled as the encoder's owners say."""
    if one.library == "transformers":
        tokens = model(pixel_values=batch).last_hidden_state
        first = 1 + getattr(model.config, "num_register_tokens", 0)
    elif one.pooling in ("network", "attention", "projection"):
        return model(batch)
    else:
        tokens, first = model.forward_features(batch), model.num_prefix_tokens
    parts = [tokens[:, 0]] + ([tokens[:, first:].mean(1)] if one.pooling == "class and mean" else [])
    return torch.cat(parts, dim=1)


def look(one: Published) -> dict[str, Any]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        folder = Path(place)
        model = made(one, folder)
        crops = np.random.default_rng(0).integers(0, 256, (1, one.side, one.side, 3), dtype=np.uint8)
        mean, std = (torch.tensor(colour) for colour in (one.mean, one.std))
        light = ((torch.from_numpy(crops).float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
        expected = bare(one, model, light).numpy()
        parameters = sum(value.numel() for value in model.parameters())
        del model
        encoder = encoder_named(str(folder), device="cpu")
        found = encoder.encode(crops)
        start = time.perf_counter()
        encoder.encode(crops)
        seconds = time.perf_counter() - start
    return {
        "name": one.name, "parameters": parameters, "dimension": found.shape[1],
        "stated": one.dimension, "difference": float(np.abs(found - expected).max()),
        "seconds": round(seconds, 2),
    }  # fmt: skip


def main() -> None:
    """Look at each and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PUBLISHED))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    for name in asked.names:
        rows.append(look(PUBLISHED[name]))
        if not asked.json:
            print(*rows[-1].values(), sep="\t", flush=True)
    if asked.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
