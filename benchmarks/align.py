"""Alignment: pairs whose truth is known, neighbouring sections, and tissue that does not belong together.

Run as `HISTOSCRIBE_DATA=... python benchmarks/align.py [SEED ...]`. Each pair is a tissue and its own image
under a random turn, mirror and shift (all kinds), an affine map with up to 6 % of stretch and shear (all but
*rigid*), in brown for eosin (*stain*), without two fifths (*missing*), or bent by up to 30 µm with grain
(*bent*: what an affine map cannot undo counts as error). The error is that of places on tissue, in µm.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.color import hed2rgb, rgb2hed

from histoscribe.errors import SectionError
from histoscribe.section import align
from histoscribe.section.registration.transform import about, through
from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide import Slide, Window, open_slide
from histoscribe.slide.tissue import tissue_mask

KINDS = ("rigid", "affine", "stain", "missing", "bent")
HER2ST_MPP, READ_UM = 200 / 272, 1.5


def brown(pixels: np.ndarray) -> np.ndarray:
    """Haematoxylin as it is, and DAB where eosin is strongest."""
    stains = rgb2hed(pixels)
    eosin = stains[..., 1].clip(0)
    stains[..., 2] = np.where(eosin > np.percentile(eosin, 85), eosin, 0.15 * eosin)
    stains[..., 1] = 0
    return (hed2rgb(stains) * 255).clip(0, 255).astype(np.uint8)


def pair(pixels: np.ndarray, mpp: float, kind: str, rng: np.random.Generator):
    """Moving and fixed slide, the truth in µm, and where tissue is that both hold, in µm."""
    side = np.array(pixels.shape[:2])
    middle = (side - 1) / 2 * mpp
    affine = about(middle, rng.uniform(0, 360), mirror=rng.random() < 0.5)
    if kind != "rigid":
        affine[:2, :2] = affine[:2, :2] @ (np.eye(2) + rng.uniform(-0.06, 0.06, (2, 2)))
        affine[:2, 2] = middle - affine[:2, :2] @ middle
    room = int(8 * np.ceil(1.3 * side.max() / 8))
    affine[:2, 2] += (room - side) / 2 * mpp + rng.uniform(-0.04, 0.04, 2) * side * mpp
    grid = np.stack(np.meshgrid(np.arange(room), np.arange(room), indexing="ij"), axis=-1).astype(np.float32)
    back = np.linalg.inv(affine)
    source = grid @ back[:2, :2].T.astype(np.float32) + (back[:2, 2] / mpp).astype(np.float32)
    bend = np.zeros((2, room // 8, room // 8), np.float32)
    if kind == "bent":
        bend = np.stack(
            [gaussian_filter(rng.standard_normal(bend.shape[1:]), 400 / mpp / 8) for _ in range(2)]
        )
        bend *= 30 / mpp / np.abs(bend).max()
    for axis in (0, 1):
        source[..., axis] += np.repeat(np.repeat(bend[axis], 8, 0), 8, 1)[:room, :room]
    glass = np.percentile(pixels, 98, axis=(0, 1))
    fixed = np.stack(
        [
            map_coordinates(pixels[..., one], source.transpose(2, 0, 1), order=1, cval=glass[one])
            for one in range(3)
        ],
        axis=-1,
    )
    if kind == "bent":
        fixed = (fixed + rng.normal(0, 8, fixed.shape)).clip(0, 255).astype(np.uint8)
    moving = brown(pixels) if kind == "stain" else pixels.copy()
    tissue, factor = tissue_mask(slide_in_memory(pixels, mpp, "own"))
    places = (np.argwhere(tissue) * factor + (factor - 1) / 2) * mpp
    if kind == "missing":
        cut = np.percentile(places[:, 1], 60)
        moving[:, int(cut / mpp) :] = glass
        places = places[places[:, 1] < cut]
    return slide_in_memory(moving, mpp, "moving"), slide_in_memory(fixed, mpp, "fixed"), affine, places, bend


def tried(moving: Slide, fixed: Slide):
    """The registration, or why there is none; and seconds of the processor."""
    start = time.process_time()
    try:
        return align(moving, fixed), "", time.process_time() - start
    except SectionError as error:
        return None, error.problem, time.process_time() - start


def row(data: str, what: str, pixels: np.ndarray, mpp: float, kind: str, seed: int) -> None:
    """Align one pair and print what became of it."""
    moving, fixed, truth, places, bend = pair(pixels, mpp, kind, np.random.default_rng([seed, len(kind)]))
    found, said, seconds = tried(moving, fixed)
    start = f"| {data} | {what} | {kind} |"
    if found is None:
        print(f"{start} refused: {said} | | {seconds:.1f} |", flush=True)
        return
    error = through(found.affine, places) - through(truth, places)
    if kind == "bent":  # the image was sampled from `bend` further on: its tissue lies that much back
        at = (through(truth, places) / mpp / 8).astype(int).clip(0, bend.shape[1] - 1)
        error += bend[:, at[:, 0], at[:, 1]].T @ truth[:2, :2].T * mpp
    length = np.hypot(*error.T)
    print(
        f"| {data} | {what} | {kind} | {np.median(length):.2f} | {np.percentile(length, 95):.2f} | "
        f"{found.residual_um:.2f} | {found.agreeing:.2f} | {seconds:.1f} |",
        flush=True,
    )


def main(seeds: list[int]) -> None:
    """Print a row for each pair."""
    print("| data | tissue | kind | median error | 95 % | said to be left | agreeing | processor s |")
    print("| --- " * 8 + "|")
    for seed in seeds:
        section = simulate_section(seed, genes=14, size_um=2400.0)
        pixels = np.asarray(section.slide.levels[0].pixels[:])
        for kind in KINDS:
            row("simulated", f"seed {seed}", pixels, 1.0, kind, seed)
    folder = Path(os.environ.get("HISTOSCRIBE_DATA", "../shared/data")) / "her2st"
    if not folder.is_dir():
        return
    slides = {
        name: open_slide(folder / f"{name}.jpg", mpp=HER2ST_MPP) for name in ("B4", "C2", "C3", "C4", "C5")
    }
    for name in ("B4", "C2", "C5"):
        slide = slides[name]
        pixels = slide.read(Window(0, 0, *slide.shape), READ_UM)
        pixels = pixels[: len(pixels) // 8 * 8, : pixels.shape[1] // 8 * 8]
        for kind in KINDS:
            row("her2st", name, pixels, READ_UM, kind, 0)
    print("\n| moving | fixed | there and back, µm | said to be left | overlap | agreeing | processor s |")
    print("| --- " * 7 + "|")
    found = {}
    for one, other in permutations(slides, 2):
        there, said, seconds = tried(slides[one], slides[other])
        found[one, other] = there
        if there is None:
            print(f"| {one} | {other} | refused: {said} | | | | {seconds:.1f} |", flush=True)
            continue
        back, apart = found.get((other, one)), ""
        if back is not None:
            tissue, factor = tissue_mask(slides[one])
            places = np.argwhere(tissue) * factor * HER2ST_MPP
            gap = through(back.affine @ there.affine, places) - places
            apart = f"{np.median(np.hypot(*gap.T)):.0f}"
        told = f"{there.residual_um:.0f} | {there.overlap:.2f} | {there.agreeing:.2f}"
        print(f"| {one} | {other} | {apart} | {told} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [10, 11, 12, 13, 14])
