"""Train the network that tells pen, blur and folds from clean tissue, by planting them over real tissue.

    python scripts/train_quality.py DATA [--out src/histoscribe/slide/quality/weights.safetensors]

DATA is the folder of real data. Only the sections C2 and B4 of her2st and simulated tissue are looked at, in
many colours, scales and degrees of focus, some with patches richer in one stain; C3 to C5 and CMU-1 are kept
for `benchmarks/quality.py`, whose planting is taken with other seeds. About an hour on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom
from torch.nn import functional

from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide import Window, open_slide
from histoscribe.slide.quality.artefacts import BLUR, BUBBLE, CELL_UM, FOLD, PEN
from histoscribe.slide.quality.network import PIXEL_UM, SIDE, channels, forward, own_look, seen_in
from histoscribe.slide.tissue import tissue_mask

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from quality import INKS, by_cells, distances, plant

KINDS = (FOLD, PEN, BLUR, BUBBLE, 0)
ALIKE, MOST_FOLDS = (0.4, 0.2, 0.15, 0.15, 0.1), (0.62, 0.08, 0.1, 0.1, 0.1)
NARROW = (0.25, 0.6, 0.05, 0.05, 0.05)
CELL = int(CELL_UM / PIXEL_UM)
STAINS = np.array([[0.65, 0.70, 0.29], [0.25, 0.90, 0.35]])
CROP, BATCH = 24, 8
LAYERS = {
    "a": (13, 12), "b": (12, 16), "b2": (16, 16), "c": (16, 24), "c2": (24, 24), "d": (24, 24),
    "d2": (24, 24), "e": (24, 24), "e2": (24, 24), "f": (48, 24), "g": (48, 24), "g2": (24, 24),
    "out": (24, 5),
}  # fmt: skip
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Channels, the kind planted in each cell, which cells are tissue."""


def tissue_cells(pixels: np.ndarray) -> np.ndarray:
    """Which cells of a picture with 2 µm to a pixel are tissue."""
    mask, factor = tissue_mask(slide_in_memory(pixels, PIXEL_UM, "planted"))
    middles = (((np.arange(side // CELL) + 0.5) * CELL / factor).astype(int) for side in pixels.shape[:2])
    return mask[np.ix_(*(np.minimum(one, most - 1) for one, most in zip(middles, mask.shape, strict=True)))]


def recoloured(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same tissue by another scanner: other stains, scale, focus and noise."""
    image, scale = pixels.astype(np.float32), rng.uniform(0.8, 1.3)
    if rng.random() < 0.7:
        image = np.stack([zoom(image[..., channel], scale, order=1) for channel in range(3)], -1)
    density = np.log10((np.percentile(image, 95, axis=(0, 1)) + 1) / (image + 1))
    stains = STAINS / STAINS.sum(1, keepdims=True)
    other = STAINS * rng.uniform(0.8, 1.2, (2, 3))
    amount = density @ np.linalg.pinv(stains)
    rest = density - amount @ stains
    gain = rng.uniform(0.6, 1.7, 2)
    if rng.random() < 0.6:  # patches richer in one stain, such as epithelium: no folds
        noise = rng.normal(size=density.shape[:2]).astype(np.float32)
        noise = gaussian_filter(noise, rng.uniform(40, 200) / PIXEL_UM / scale)
        patch = (noise > np.quantile(noise, rng.uniform(0.6, 0.9))).astype(np.float32)
        patch = gaussian_filter(patch, rng.uniform(0.5, 3))
        richer = rng.uniform(1.2, 3.0), rng.uniform(0.4, 1.6)
        amount = amount * np.stack([1 + patch * (one - 1) for one in richer], -1)
    density = amount * gain @ (other / other.sum(1, keepdims=True)) + rest * rng.uniform(0.7, 1.3)
    image = (rng.uniform(225, 252, 3) + 1) / 10**density - 1
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 0.7)
        image = gaussian_filter(image, (sigma, sigma, 0))
    elif rng.random() < 0.5:
        image = image + rng.uniform(0.2, 1) * (image - gaussian_filter(image, (1, 1, 0)))
    return (image + rng.normal(0, rng.uniform(0, 2), image.shape)).clip(0, 255).astype(np.uint8)


def narrow_strokes(
    pixels: np.ndarray, on: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Strokes of ink no wider than folds, and where."""
    image, where = pixels.astype(np.float32), np.zeros(pixels.shape[:2], np.bool_)
    for _ in range(3):
        middle = np.argwhere(on)[rng.integers(on.sum())] * CELL
        points = middle + rng.uniform(-300, 300, (3, 2))
        points[1] = middle + rng.uniform(-40, 40, 2)
        inside = distances(where.shape, points) < rng.uniform(10, 50)
        ink = np.array(INKS[rng.integers(len(INKS))]) ** rng.uniform(0.7, 1.4)
        image[inside] *= ink + rng.normal(0, 0.015, (inside.sum(), 1))
        where |= inside
    return image.clip(0, 255).astype(np.uint8), where


def samples(
    pixels: np.ndarray, versions: range, each: int, shares: tuple[float, ...], seed: int
) -> list[Sample]:
    """Pieces of 1.3 to 2.1 mm of a slide's versions, with one or two kinds of artefacts or none."""
    found = []
    for version in versions:
        rng = np.random.default_rng([seed, version])
        whole = recoloured(pixels, rng) if version % 6 else pixels
        whole = whole[: len(whole) // CELL * CELL, : whole.shape[1] // CELL * CELL]
        cells = tissue_cells(whole)
        glass = np.percentile(whole[::8, ::8], 95, axis=(0, 1))
        own = own_look(seen_in(whole, glass), cells)
        for _ in range(each):
            side = int(rng.integers(40, 66))
            middle = np.argwhere(cells)[rng.integers(cells.sum())]
            top, left = np.clip(middle - side // 2, 0, np.maximum(0, np.array(cells.shape) - side))
            on = cells[top : top + side, left : left + side]
            image = whole[top * CELL :, left * CELL :][: on.shape[0] * CELL, : on.shape[1] * CELL]
            if on.sum() < 50:
                continue
            kind_of = np.zeros(on.shape, np.uint8)
            for kind in rng.choice(KINDS, rng.choice([1, 2], p=[0.75, 0.25]), replace=False, p=shares):
                if kind == PEN and shares == NARROW:
                    image, where = narrow_strokes(image, on, rng)
                    kind_of[by_cells(where, PIXEL_UM, on.shape)] = PEN - 1
                elif kind:
                    image, where = plant(image, PIXEL_UM, on, 10_000 + int(rng.integers(10**6)), int(kind))
                    kind_of[by_cells(where, PIXEL_UM, on.shape)] = kind - 1
            light = glass if rng.random() < 0.8 else np.percentile(image, 95, axis=(0, 1))
            seen = seen_in(image, light)
            look = own if rng.random() < 0.6 else own_look(seen, on)
            found.append((channels(seen, look).astype(np.float16), kind_of, on))
    return found


def batch(
    pool: list[Sample], folded: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Channels, kinds and weights of crops, turned and mirrored; a share of them of samples with folds."""
    parts, folds = [], [one for one in pool if (one[1] == FOLD - 1).any()]
    for _ in range(BATCH):
        among = folds if rng.random() < folded else pool
        looked, kinds, on = among[rng.integers(len(among))]
        weights = np.where(on, 1.0, np.where(np.isin(kinds, (0, PEN - 1, BUBBLE - 1)), 0.05, 0.0))
        down, across = (max(0, CROP - side) for side in kinds.shape)
        looked = np.pad(looked, ((0, 0), (0, SIDE * down), (0, SIDE * across)), mode="edge")
        kinds, weights = (np.pad(one, ((0, down), (0, across))) for one in (kinds, weights))
        top, left = (rng.integers(side - CROP + 1) for side in kinds.shape)
        cut = [one[top : top + CROP, left : left + CROP] for one in (kinds, weights)]
        cut.insert(0, looked[:, SIDE * top :, SIDE * left :][:, : SIDE * CROP, : SIDE * CROP])
        if rng.random() < 0.5:
            cut = [np.flip(one, -2) for one in cut]
        turns = rng.integers(4)
        parts.append([np.rot90(one, turns, (-2, -1)).astype(np.float32) for one in cut])
    looked, kinds, weights = (torch.from_numpy(np.stack(one)) for one in zip(*parts, strict=True))
    return looked + torch.randn(BATCH, 13, 1, 1) * 0.08, kinds.long(), weights


def trained(
    weights: dict[str, torch.Tensor], pool: list[Sample], steps: int, rate: float, folded: float
) -> None:
    """Train in place, from a high rate to a low one."""
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(weights.values(), rate, weight_decay=1e-4)
    for step in range(steps):
        slow = 0.5 * (1 + np.cos(np.pi * step / steps)) + 0.01
        optimiser.param_groups[0]["lr"] = rate * min(1, step / 100 + 0.05) * slow
        looked, kinds, share = batch(pool, folded, rng)
        loss = functional.cross_entropy(forward(looked, weights), kinds, reduction="none")
        loss = (loss * share).sum() / share.sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimiser.step()
        if step % 50 == 49:
            print(step + 1, float(loss), file=sys.stderr, flush=True)


def main() -> None:
    """Plant, train, and write the weights."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/histoscribe/slide/quality/weights.safetensors"))
    given = parser.parse_args()
    torch.manual_seed(0)
    pool, more = [], []
    for name in ("C2", "B4"):
        slide = open_slide(given.data / "her2st" / f"{name}.jpg", mpp=200 / 272)
        pixels = slide.read(Window(0, 0, *slide.shape), PIXEL_UM)
        rows, columns = (np.flatnonzero(tissue_cells(pixels).any(axis)) * CELL for axis in (1, 0))
        pixels = pixels[max(0, rows[0] - 200) : rows[-1] + 200, max(0, columns[0] - 200) : columns[-1] + 200]
        pool += samples(pixels, range(10), 24, ALIKE, 7)
        more += samples(pixels, range(1, 6), 28, MOST_FOLDS, 8)
        more += samples(pixels, range(1, 3), 16, NARROW, 9)
    made = [simulate_section(seed, genes=14, size_um=2400.0, mpp=PIXEL_UM) for seed in (51, 52)]
    pixels = [np.asarray(one.slide.levels[0].pixels[:]) for one in made]
    least = min(map(len, pixels))
    simulated = np.concatenate([one[:least] for one in pixels], axis=1)
    pool += samples(simulated, range(3), 14, ALIKE, 7)
    more += samples(simulated, range(1, 3), 16, NARROW, 9)
    weights = {}
    for name, (before, after) in LAYERS.items():
        layer = torch.nn.Conv2d(before, after, 1 if name == "out" else 3)
        weights |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    trained(weights, pool, 1600, 4e-3, 0.0)
    trained(weights, pool + more, 520, 2.5e-3, 0.35)
    trained(weights, pool + more, 420, 2e-3, 0.35)
    save_file({name: one.detach().half() for name, one in weights.items()}, given.out)


if __name__ == "__main__":
    main()
