"""Artefacts planted over real tissue, and how much clean tissue is refused.

Run as `HISTOSCRIBE_DATA=... python benchmarks/quality.py [NAME ...]`; names: sections of her2st and `CMU-1`.
Planted at three places of tissue in each of two seeds: strokes of blue, green, red and black ink; Gaussian
blur (sigma 5 to 9 µm); folds (tissue laid a second time on a long narrow band); bubbles (a disc of lower
contrast in a grey ring). F1 is over cells of 32 µm of tissue; refused is the share of untouched tissue that
is given a class. What is measured was trained by `scripts/train_quality.py` on C2 and B4, other seeds.
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide import Slide, Window, open_slide
from histoscribe.slide.quality.artefacts import (
    BLUR,
    BUBBLE,
    CELL_UM,
    CLASSES,
    FOLD,
    GLASS,
    PEN,
    TISSUE,
    slide_quality,
)  # fmt: skip
from histoscribe.slide.tissue import tissue_mask

READ_UM, SEEDS = 2.0, 2
INKS = ((0.10, 0.22, 0.75), (0.08, 0.50, 0.28), (0.80, 0.12, 0.15), (0.10, 0.10, 0.12))


def distances(shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """From every pixel to a polyline through points (row, column)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    found = np.full(shape, np.inf, np.float32)
    for (r0, c0), (r1, c1) in pairwise(points):
        d = np.array([r1 - r0, c1 - c0])
        t = (((rows - r0) * d[0] + (columns - c0) * d[1]) / max(1e-9, d @ d)).clip(0, 1)
        found = np.minimum(found, np.hypot(rows - r0 - t * d[0], columns - c0 - t * d[1]).astype(np.float32))
    return found


def plant(pixels: np.ndarray, mpp: float, tissue: np.ndarray, seed: int, kind: int):
    """The picture with one kind of artefact in a few places, and where."""
    rng = np.random.default_rng([seed, kind])
    image, where = pixels.astype(np.float32), np.zeros(pixels.shape[:2], np.bool_)
    spots = np.argwhere(tissue) * CELL_UM / mpp
    for number in range(3):
        at = spots[rng.integers(len(spots))]
        angle = rng.uniform(0, np.pi)
        along = np.array([np.sin(angle), np.cos(angle)])
        bend = np.array([along[1], -along[0]]) * rng.uniform(-120, 120) / mpp
        if kind == PEN:
            half = rng.uniform(400, 900) / mpp
            away = distances(where.shape, np.array([at - along * half, at + bend, at + along * half]))
            inside = away < rng.uniform(90, 200) / mpp
            ink = np.array(INKS[(seed + number) % len(INKS)]) ** rng.uniform(0.8, 1.3)
            image[inside] *= ink + rng.normal(0, 0.015, (inside.sum(), 1))
        elif kind == FOLD:
            half = rng.uniform(350, 800) / mpp
            away = distances(where.shape, np.array([at - along * half, at + bend, at + along * half]))
            inside = away < rng.uniform(35, 70) / mpp
            shift = (np.array([along[1], -along[0]]) * 150 / mpp).astype(int)
            other = np.roll(pixels, tuple(shift), (0, 1))[inside] / np.percentile(pixels, 95, axis=(0, 1))
            image[inside] *= other.clip(0, 1)
        else:
            rows, columns = np.ogrid[: where.shape[0], : where.shape[1]]
            away = np.hypot(rows - at[0], columns - at[1])
            radius = rng.uniform(200, 450) / mpp
            inside = away < radius
            if kind == BLUR:
                soft = gaussian_filter(image, (rng.uniform(5, 9) / mpp,) * 2 + (0,))
                image[inside] = soft[inside]
            else:
                glass = np.percentile(pixels, 95, axis=(0, 1))
                image[inside] = 0.55 * image[inside] + 0.45 * glass
                ring = np.exp(-(((away - radius) / (rng.uniform(9, 14) / mpp)) ** 2))
                image *= (1 - 0.75 * ring)[..., None]
                inside = away < radius + 12 / mpp
        where |= inside
    return image.clip(0, 255).astype(np.uint8), where


def by_cells(where: np.ndarray, mpp: float, shape: tuple[int, int]) -> np.ndarray:
    """Cells of which at least half is planted."""
    side = CELL_UM / mpp
    at = [((np.arange(length)[:, None] + np.arange(0.125, 1, 0.25)) * side).astype(int) for length in shape]
    at = [one.clip(0, most - 1) for one, most in zip(at, where.shape, strict=True)]
    return where[at[0].ravel()][:, at[1].ravel()].reshape(shape[0], 4, shape[1], 4).mean(axis=(1, 3)) >= 0.5


def main(names: list[str]) -> None:
    """Print a row for each tissue."""
    data = Path(os.environ.get("HISTOSCRIBE_DATA", "../shared/data"))
    print("| tissue | refused of clean | " + " | ".join(f"F1 {name}" for name in CLASSES[2:]) + " |")
    print("| --- " * 6 + "|")
    for name in names:
        if name == "CMU-1":
            slide: Slide = open_slide(data / "slides" / "CMU-1-Small-Region.svs")
        else:
            slide = open_slide(data / "her2st" / f"{name}.jpg", mpp=200 / 272)
        pixels = slide.read(Window(0, 0, *slide.shape), READ_UM)
        mask, factor = tissue_mask(slide_in_memory(pixels, READ_UM, name))
        places = np.argwhere(mask) * factor
        low, high = places.min(0).astype(int), places.max(0).astype(int)
        pixels = pixels[max(0, low[0] - 200) : high[0] + 200, max(0, low[1] - 200) : high[1] + 200]
        clean = slide_quality(slide_in_memory(pixels, READ_UM, name)).classes
        tissue = clean != GLASS
        told = ", ".join(
            f"{CLASSES[k]} {np.mean(clean[tissue] == k):.1%}" for k in range(2, 6) if (clean == k).any()
        )
        cells = []
        for kind in (PEN, BLUR, FOLD, BUBBLE):
            hit = np.zeros(3)
            for seed in range(SEEDS):
                image, where = plant(pixels, READ_UM, tissue, seed, kind)
                found = slide_quality(slide_in_memory(image, READ_UM, name)).classes
                truth = by_cells(where, READ_UM, found.shape) & tissue
                said = (found == kind) & tissue & ~(clean == kind)
                hit += (truth & (found == kind)).sum(), (said & ~truth).sum(), (truth & (found != kind)).sum()
            cells.append(f"{2 * hit[0] / (2 * hit[0] + hit[1] + hit[2]):.3f}")
            print(CLASSES[kind], hit, file=sys.stderr)
        refused = np.mean(~np.isin(clean[tissue], (TISSUE,)))
        print(f"| {name} | {refused:.2%} ({told or 'none'}) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["C3", "C4", "C5", "CMU-1"])
