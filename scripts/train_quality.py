"""Train the network that tells pen, blur and folds from clean tissue, by planting them over real tissue.

    OMP_NUM_THREADS=1 python scripts/train_quality.py DATA [--out WEIGHTS]

DATA is the folder of real data. Only the sections C2 and B4 of her2st and simulated tissue are looked at, in
many colours, scales and degrees of focus, with bands, rings and patches of dense nuclei, as of epidermis and
ducts, that are no folds; C3 to C5 and CMU-1 are kept for `benchmarks/quality.py`, whose planting is taken
with other seeds. On one thread the same weights come out, digit for digit. Fifteen minutes on one core.
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
from histoscribe.simulate.cells import EPITHELIAL, CellMap
from histoscribe.simulate.render import paint_nuclei
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide import Window, open_slide
from histoscribe.slide.quality.artefacts import BLUR, BUBBLE, CELL_UM, FOLD, PEN
from histoscribe.slide.quality.network import CHANNELS, PIXEL_UM, SIDE, channels, forward, own_look, seen_in
from histoscribe.slide.tissue import tissue_mask

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from quality import INKS, distances, plant

KINDS, SHARES = (FOLD, PEN, BLUR, BUBBLE, 0), (0.5, 0.15, 0.12, 0.13, 0.1)
CELL = int(CELL_UM / PIXEL_UM)
FINER = 2  # pixels of 16 µm, whose shares are learned, to a side of a cell
PART = CELL // FINER
STAINS = np.array([[0.65, 0.70, 0.29], [0.25, 0.90, 0.35]])
CROP, BATCH, FOLDED, STEPS, RATE, KEPT = 24, 8, 0.4, 4000, 4e-3, 0.995
LAYERS = {
    "a": (CHANNELS, 16), "a2": (16, 16), "b": (16, 24), "b2": (24, 24), "c": (24, 32), "c2": (32, 32),
    "d": (32, 32), "d2": (32, 32), "e": (32, 32), "e2": (32, 32), "f": (64, 32), "g": (64, 32), "h": (56, 16),
    "i": (32, 16), "i2": (16, 16), "out": (16, 5),
}  # fmt: skip
Sample = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""What is seen, the slide's own look, shares of kinds in pixels of 16 µm, which of these are tissue."""


def tissue_cells(pixels: np.ndarray) -> np.ndarray:
    """Which cells of a picture with 2 µm to a pixel are tissue."""
    mask, factor = tissue_mask(slide_in_memory(pixels, PIXEL_UM, "planted"))
    middles = (((np.arange(side // CELL) + 0.5) * CELL / factor).astype(int) for side in pixels.shape[:2])
    return mask[np.ix_(*(np.minimum(one, most - 1) for one, most in zip(middles, mask.shape, strict=True)))]


def smooth(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """A random surface with standard deviation 1; `sigma` in pixels, of which every fourth is drawn."""
    small = rng.normal(size=[side // 4 + 2 for side in shape]).astype(np.float32)
    drawn = gaussian_filter(small, sigma / 4, mode="wrap")
    return zoom(drawn / drawn.std(), 4, order=1)[: shape[0], : shape[1]]


def epithelium(side: int, rng: np.random.Generator) -> np.ndarray:
    """Summed density of haematoxylin and eosin in packed cells, shape (side, side, 2)."""
    apart = rng.uniform(6.5, 11)
    steps = np.arange(0, side * PIXEL_UM, apart)
    centres = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    centres += rng.normal(0, 0.2 * apart, centres.shape)
    count = len(centres)
    axes = rng.uniform(3.5, 5.5) * np.array([1, rng.uniform(0.55, 0.9)])
    axes = axes * np.exp(rng.normal(0, 0.12, (count, 2)))
    angle = rng.uniform(0, np.pi) + rng.normal(0, 0.4, count)
    chromatin = rng.uniform(0.7, 1.4) * np.exp(rng.normal(0, 0.15, count))
    nuclei, cover = paint_nuclei(
        CellMap(centres, np.full(count, EPITHELIAL), axes, angle, chromatin), PIXEL_UM, side, rng
    )
    grain = 1 + 0.3 * smooth((side, side), 4, rng)
    ground = (rng.uniform(low, high) * grain * (1 - 0.65 * cover) for low, high in ((0.05, 0.3), (0.15, 0.4)))
    return 1.6 * np.stack([next(ground) + nuclei, next(ground)], -1)


def banded(density: np.ndarray, stains: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Optical density with bands, rings and patches of other tissue, as of epithelium: these are no folds.

    `density` (rows, columns, 3); `stains` (2, 3): of haematoxylin and eosin.
    """
    shape, um = density.shape[:2], 1 / PIXEL_UM
    apart = np.linalg.pinv(stains).astype(np.float32)
    tissue = (gaussian_filter(density.sum(2), 20 * um) / 0.3).clip(0, 1) ** 2
    rich = gaussian_filter(density[::8, ::8] @ apart[:, 0], 5)
    for _ in range(rng.integers(1, 4)):
        surface = smooth(shape, rng.uniform(50, 200) * um, rng)
        if rng.random() < 0.7:  # along a line, mostly of even width, with a wavy rim
            slope = np.hypot(*np.gradient(surface)) + 1e-4
            width = rng.uniform(12, 90) * np.exp(rng.uniform(0, 0.5) * smooth(shape, 25 * um, rng))
            inside = np.abs(surface) / slope * PIXEL_UM < width
            inside &= smooth(shape, 250 * um, rng) > rng.uniform(-0.5, 0.8)
        else:
            inside = surface > np.quantile(surface[::8, ::8], rng.uniform(0.7, 0.93))
        soft = gaussian_filter(inside.astype(np.float32), rng.uniform(0.5, 3)) * tissue
        how = rng.random()
        if how < 0.6:  # tissue rich in nuclei, from elsewhere or painted
            places = np.argwhere(rich > np.quantile(rich, rng.uniform(0.9, 0.995)))
            side = int(rng.uniform(60, 130) * um)
            low = np.clip(places[rng.integers(len(places))] * 8 - side, 0, np.array(shape) - 2 * side)
            piece = density[low[0] :, low[1] :][: 2 * side, : 2 * side]
            if how < 0.3:
                piece = (epithelium(2 * side, rng) @ stains).astype(np.float32)
            piece = np.concatenate([piece, piece[::-1]])
            piece = np.concatenate([piece, piece[:, ::-1]], 1)
            other = np.tile(piece, (shape[0] // (4 * side) + 1, shape[1] // (4 * side) + 1, 1))
            richer, other = rng.uniform(0.8, 1.5, 2), other[: shape[0], : shape[1]]
        else:  # the same tissue, richer in one stain, without a sharp edge
            soft = gaussian_filter(soft, rng.uniform(2, 12))
            richer, other = (rng.uniform(1.3, 3), rng.uniform(0.4, 1.2))[:: rng.choice([1, 1, -1])], density
        more = other @ (apart * (np.float32(richer) - 1)) @ stains.astype(np.float32)
        density = density + soft[..., None] * (other + more - density)
    return density


def recoloured(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same tissue by another scanner: other stains, scale, focus and noise; often with bands."""
    image, scale = pixels.astype(np.float32), rng.uniform(0.8, 1.3)
    if rng.random() < 0.6:
        image = np.stack([zoom(image[..., channel], scale, order=1) for channel in range(3)], -1)
    density = np.log10((np.percentile(image[::4, ::4], 95, axis=(0, 1)).astype(np.float32) + 1) / (image + 1))
    stains = STAINS / STAINS.sum(1, keepdims=True)
    other = STAINS * rng.uniform(0.75, 1.25, (2, 3))
    if rng.random() < 0.75:
        density = banded(density, stains, rng)
    amount = density @ np.linalg.pinv(stains).astype(np.float32)
    rest = density - amount @ stains.astype(np.float32)
    mixed = rng.uniform(0.5, 1.7, 2)[:, None] * other / other.sum(1, keepdims=True)
    density = amount @ mixed.astype(np.float32) + rest * np.float32(rng.uniform(0.7, 1.3))
    image = (rng.uniform(225, 252, 3).astype(np.float32) + 1) * 10**-density - 1
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 0.7)
        image = gaussian_filter(image, (sigma, sigma, 0))
    elif rng.random() < 0.5:
        image = image + np.float32(rng.uniform(0.2, 1)) * (image - gaussian_filter(image, (1, 1, 0)))
    noise = rng.normal(size=image.shape).astype(np.float32) * np.float32(rng.uniform(0, 2))
    return (image + noise).clip(0, 255).astype(np.uint8)


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


def folded(pixels: np.ndarray, on: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Folds of uneven width under any part of the tissue, turned over, and where."""
    image, where = pixels.astype(np.float32), np.zeros(pixels.shape[:2], np.bool_)
    over = np.percentile(pixels[::4, ::4], 95, axis=(0, 1))
    for _ in range(2):
        middle = np.argwhere(on)[rng.integers(on.sum())] * CELL
        points = middle + rng.uniform(-400, 400, (3, 2))
        points[1] = middle + rng.uniform(-60, 60, 2)
        width = rng.uniform(14, 40) * np.exp(0.2 * smooth(where.shape, 60, rng))
        inside = distances(where.shape, points) < width
        other = pixels[:: rng.choice([1, -1]), :: rng.choice([1, -1])]
        other = np.roll(other, rng.integers(-200, 200, 2), (0, 1))
        image[inside] *= (other[inside] / over).clip(0, 1) ** rng.uniform(0.8, 1.1)
        where |= inside
    return image.clip(0, 255).astype(np.uint8), where


def samples(pixels: np.ndarray, versions: int, each: int, seed: int) -> list[Sample]:
    """Pieces of 1.3 to 1.7 mm of a slide's versions, with one or two kinds of artefacts or none."""
    found = []
    for version in range(versions):
        rng = np.random.default_rng([seed, version])
        whole = recoloured(pixels, rng) if version % 6 else pixels
        whole = whole[: len(whole) // CELL * CELL, : whole.shape[1] // CELL * CELL]
        cells = tissue_cells(whole)
        glass = np.percentile(whole[::8, ::8], 95, axis=(0, 1))
        own = own_look(seen_in(whole, glass), cells)
        for _ in range(each):
            side = int(rng.integers(40, 54))
            middle = np.argwhere(cells)[rng.integers(cells.sum())]
            top, left = np.clip(middle - side // 2, 0, np.maximum(0, np.array(cells.shape) - side))
            on = cells[top : top + side, left : left + side]
            image = whole[top * CELL :, left * CELL :][: on.shape[0] * CELL, : on.shape[1] * CELL]
            if on.sum() < 50:
                continue
            shown = np.zeros((5, *(FINER * part for part in on.shape)), np.float32)
            shown[0] = 1
            for kind in rng.choice(KINDS, rng.choice([1, 2], p=[0.75, 0.25]), replace=False, p=SHARES):
                if not kind:
                    continue
                if kind == PEN and rng.random() < 0.4:
                    image, where = narrow_strokes(image, on, rng)
                elif kind == FOLD and rng.random() < 0.3:
                    image, where = folded(image, on, rng)
                else:
                    image, where = plant(image, PIXEL_UM, on, 10_000 + int(rng.integers(10**6)), int(kind))
                part = where.reshape(len(shown[0]), PART, -1, PART).mean(axis=(1, 3))
                shown *= 1 - part
                shown[kind - 1] += part
            light = glass if rng.random() < 0.8 else np.percentile(image[::4, ::4], 95, axis=(0, 1))
            seen = seen_in(image, light)
            look = own if rng.random() < 0.6 else own_look(seen, on)
            on = np.kron(on, np.ones((FINER, FINER), np.bool_))
            found.append((seen, look, shown.astype(np.float16), on))
        print(seed, version, file=sys.stderr, flush=True)
    return found


def batch(pool: list[Sample], folds: list[Sample], rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Channels, shares of kinds and weights of crops, turned and mirrored; a part of them from `folds`."""
    parts = []
    for _ in range(BATCH):
        among = folds if rng.random() < FOLDED else pool
        seen, own, shown, on = among[rng.integers(len(among))]
        high, wide = (side // FINER for side in on.shape)
        top, left = rng.integers(max(1, high - CROP + 1)), rng.integers(max(1, wide - CROP + 1))
        looked = channels(seen[SIDE * top :, SIDE * left :][: SIDE * CROP, : SIDE * CROP], own)
        high, wide = (slice(FINER * first, FINER * (first + CROP)) for first in (top, left))
        shown, on = shown[:, high, wide], on[high, wide]
        beyond = 0.05 * (1 - shown[BLUR - 1] - shown[FOLD - 1]).clip(0)
        weights = np.where(on, 1, beyond)
        down, across = CROP - on.shape[0] // FINER, CROP - on.shape[1] // FINER
        looked = np.pad(looked, ((0, 0), (0, SIDE * down), (0, SIDE * across)), mode="edge")
        gap = ((0, FINER * down), (0, FINER * across))
        cut = [looked, np.pad(shown, ((0, 0), *gap)), np.pad(weights, gap)]
        if rng.random() < 0.5:
            cut = [np.flip(one, -2) for one in cut]
        turns = rng.integers(4)
        parts.append([np.rot90(one, turns, (-2, -1)).astype(np.float32) for one in cut])
    looked, shown, weights = (torch.from_numpy(np.stack(one)) for one in zip(*parts, strict=True))
    looked += torch.randn(BATCH, CHANNELS, 1, 1) * 0.08
    return looked.contiguous(memory_format=torch.channels_last), shown, weights


def trained(pool: list[Sample], steps: int = STEPS) -> dict[str, torch.Tensor]:
    """Weights after training from a high rate to a low one: their running mean."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    weights = {}
    for name, (before, after) in LAYERS.items():
        layer = torch.nn.Conv2d(before, after, 1 if name == "out" else 3)
        weights |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    mean = {name: one.detach().clone() for name, one in weights.items()}
    folds = [one for one in pool if one[2][FOLD - 1].any()]
    optimiser = torch.optim.AdamW(weights.values(), RATE, weight_decay=1e-4)
    for step in range(steps):
        slow = 0.5 * (1 + np.cos(np.pi * step / steps)) + 0.01
        optimiser.param_groups[0]["lr"] = RATE * min(1, step / 100 + 0.05) * slow
        looked, shown, share = batch(pool, folds, rng)
        told = functional.avg_pool2d(forward(looked, weights).softmax(1), SIDE // FINER)
        loss = -((shown * (told + 1e-5).log()).sum(1) * share).sum() / share.sum()
        said, true = told[:, FOLD - 1] * share, shown[:, FOLD - 1] * share
        loss = loss + 0.3 * (1 - 2 * (said * true).sum() / (said.sum() + true.sum() + 1))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimiser.step()
        kept = min(KEPT, step / (step + 10))
        for name, one in weights.items():
            mean[name].lerp_(one.detach(), 1 - kept)
        if step % 50 == 49:
            print(step + 1, float(loss), file=sys.stderr, flush=True)
    return mean


def pieces_of(data: Path, name: str) -> list[Sample]:
    """All that is learned from one of C2, B4 and simulated tissue."""
    if name == "simulated":
        made = [simulate_section(seed, genes=14, size_um=2400.0, mpp=PIXEL_UM) for seed in (51, 52)]
        pixels = [np.asarray(one.slide.levels[0].pixels[:]) for one in made]
        least = min(map(len, pixels))
        return samples(np.concatenate([one[:least] for one in pixels], axis=1), 6, 20, 7)
    slide = open_slide(data / "her2st" / f"{name}.jpg", mpp=200 / 272)
    whole = slide.read(Window(0, 0, *slide.shape), PIXEL_UM)
    rows, columns = (np.flatnonzero(tissue_cells(whole).any(axis)) * CELL for axis in (1, 0))
    return samples(
        whole[max(0, rows[0] - 200) : rows[-1] + 200, max(0, columns[0] - 200) : columns[-1] + 200], 14, 22, 8
    )


def main() -> None:
    """Plant, train, and write the weights."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/histoscribe/slide/quality/weights.safetensors"))
    given = parser.parse_args()
    pool = [one for name in ("C2", "B4", "simulated") for one in pieces_of(given.data, name)]
    save_file({name: one.half() for name, one in trained(pool).items()}, given.out)


if __name__ == "__main__":
    main()
