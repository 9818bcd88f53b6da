"""Verdicts and intervals on simulated patients whose depth, stain or image differs from the training's.

`python benchmarks/trust.py` trains on three simulated patients, predicts others as they are and changed, and
prints a table: the verdict, the coverage and width of the 90 % intervals, and mean r.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Pixels = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def stained(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A laboratory that stains darker and redder: optical densities times 1.3, .8 and 1.1."""
    density = -np.log((pixels.astype(np.float64) + 1) / 256) * (1.3, 0.8, 1.1)
    return np.clip(256 * np.exp(-density) - 1, 0, 255).round().astype(np.uint8)


def coarse(times: int) -> Pixels:
    """An image whose pixels are so many times larger, enlarged again."""

    def change(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        image = Image.fromarray(pixels)
        small = image.resize((image.width // times, image.height // times), Image.Resampling.BOX)
        return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))

    return change


CHANGES: dict[str, tuple[float, Pixels | None]] = {
    "as it is": (3000, None),
    "a tenth of the depth": (300, None),
    "ten times the depth": (30_000, None),
    "stained darker and redder": (3000, stained),
    "image 2 times coarser": (3000, coarse(2)),
    "image 4 times coarser": (3000, coarse(4)),
}


def main() -> None:
    """Train, predict, print."""
    from histoscribe.evaluation.measures import pearson_per_gene
    from histoscribe.predictor import Predictor, panel_expression
    from histoscribe.predictor.encoded import EncodedSection
    from histoscribe.record import record_of
    from histoscribe.simulate import simulate_section
    from histoscribe.slide import open_slide

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--patients", type=int, default=3, help="how many new ones")
    parser.add_argument("--size-um", type=float, default=1800.0)
    given = parser.parse_args()
    training = [simulate_section(100 + number, size_um=given.size_um) for number in range(3)]
    model = Predictor(seed=0, device="cpu", panel_size=150).fit(training, encoder="builtin", crops=False)
    print("| simulated patient | verdict | unlike | times coarser | coverage | width | mean r |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (depth, change) in CHANGES.items():
        rows = []
        for number in range(given.patients):
            section = simulate_section(200 + number, size_um=given.size_um, depth=depth)
            assert section.slide is not None
            if change is not None:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "changed.png"
                    Image.fromarray(change(np.asarray(section.slide.levels[0].pixels[:]))).save(path)
                    slide = open_slide(path, mpp=section.mpp)
                    table = model.predict(replace(section, slide=slide)).table
            else:
                table = model.predict(section).table
            counted = EncodedSection("", "", np.zeros((table.n_obs, 1), np.float32), section.centres_um,
                                     100.0, section.table.X, section.genes)  # fmt: skip
            truth = panel_expression(counted, model.genes)
            low, high = (np.asarray(table.layers[end]) for end in ("low", "high"))
            inside = (truth >= low - 1e-4) & (truth <= high + 1e-4)
            r = float(np.nanmean(pearson_per_gene(truth, np.asarray(table.X))))
            verdict = record_of(table).verdict
            assert verdict is not None
            rows.append((verdict, inside.mean(), (high - low).mean(), r))
        kinds = ", ".join(dict.fromkeys(row[0].headline.lower() for row in rows))
        means = [np.mean([row[place] for row in rows]) for place in (1, 2, 3)]
        unlike = np.mean([row[0].unlike for row in rows])
        coarser = np.mean([row[0].fineness for row in rows])
        each = ", ".join(f"{row[1]:.3f}" for row in rows)
        print(
            f"| {name} | {kinds} | {unlike:.0%} | {coarser:.2f} | {means[0]:.3f} ({each}) | {means[1]:.2f} | "
            f"{means[2]:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
