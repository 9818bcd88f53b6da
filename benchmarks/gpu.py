"""What a GPU does with the same models: digits beside the processor's, an encoder beside its bare network.

`python benchmarks/gpu.py` needs a CUDA device. It prints one JSON object: the largest difference of a
prediction (log expression) from the processor's, and tiles per second of a ViT-L of random weights as an
encoder (bytes in, descriptors out) and as the bare network in half precision, on numbers that lie on the
device, at its best batch. `--device cpu` runs the same with a network of two layers, to try the script.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
BATCHES = (16, 32, 64, 128, 256, 512)
SIDE = 224


def difference(device: str, folder: Path) -> float:
    """The largest difference between predictions of one model on two devices."""
    from histoscribe.predictor import Predictor
    from histoscribe.simulate.sample import sample_cohort

    sections = sample_cohort()
    Predictor(device="cpu").fit(sections[:-1]).save(folder / "model")
    here, there = (
        np.asarray(Predictor.load(folder / "model", device=name).predict(sections[-1]).table.X)
        for name in ("cpu", device)
    )
    return float(np.abs(here - there).max())


def throughput(device: str, folder: Path, tiles: int) -> dict[str, Any]:
    """Tiles per second of the encoder and of the bare network."""
    from transformers import ViTConfig, ViTModel

    from histoscribe.features import encoder_named
    from histoscribe.features.device import precision_of

    shape = LARGE if device != "cpu" else SMALL
    ViTModel(ViTConfig(**shape, image_size=SIDE, patch_size=16)).save_pretrained(folder / "vit")
    steps = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": SIDE, "width": SIDE}}
    (folder / "vit" / "preprocessor_config.json").write_text(json.dumps(steps | {"rescale_factor": 1 / 255}))
    encoder = encoder_named(str(folder / "vit"), device=device)
    crops = np.random.default_rng(0).integers(0, 256, (tiles, SIDE, SIDE, 3), dtype=np.uint8)
    encoder.encode(crops[:64])
    encoded = tiles / _seconds(lambda: encoder.encode(crops), device)

    precision = precision_of(torch.device(device))
    network = ViTModel.from_pretrained(folder / "vit", dtype=precision).to(device).eval()
    bare = {}
    with torch.inference_mode():
        for size in BATCHES:
            batch = torch.rand(size, 3, SIDE, SIDE, device=device, dtype=precision)
            network(pixel_values=batch)
            passes = max(1, tiles // size)

            def forward(batch: torch.Tensor = batch, passes: int = passes) -> None:
                for _ in range(passes):
                    network(pixel_values=batch)

            bare[size] = passes * size / _seconds(forward, device)
    best = max(bare, key=lambda size: bare[size])
    return {
        "encoder": encoded,
        "bare": bare[best],
        "best batch": best,
        "bare by encoder": bare[best] / encoded,
    }


def _seconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Print what was measured as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    device = parser.parse_args().device
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = {
            "device": device if device == "cpu" else torch.cuda.get_device_name(device),
            "largest difference": difference(device, folder),
            "tiles per second": throughput(device, folder, 128 if device == "cpu" else 4096),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
