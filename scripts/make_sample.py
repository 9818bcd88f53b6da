"""Simulate the sections of the sample data again: the same bytes for a given NumPy, SciPy and JPEG library.

python scripts/make_sample.py sample_data
"""

from __future__ import annotations

import argparse
import sys
from os import PathLike
from pathlib import Path

import numpy as np

from histoscribe.files import replacing
from histoscribe.section import Section
from histoscribe.simulate import simulate_section
from histoscribe.simulate.sample import COHORT_FILE, TRUTH_FILE
from histoscribe.slide import write_slide

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from runs.spaceranger import write_spaceranger

SAMPLES = (("P1A", "P1", 11), ("P1B", "P1", 12), ("P2A", "P2", 21), ("P3A", "P3", 31))
SIZE_UM, GENES, QUALITY = 2100.0, 300, 70


def main() -> None:
    """Make the sample from a shell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to write it")
    write_sample(parser.parse_args().folder)


def write_sample(folder: Path) -> None:
    """Simulate the sample into `folder`: one Space Ranger folder a section, slides and a cohort CSV."""
    lines = ["section,patient,path,positions,slide,pitch_um,spot_um"]
    for name, patient, seed in SAMPLES:
        section = simulate_section(seed, name=name, patient=patient, genes=GENES, size_um=SIZE_UM)
        assert section.slide is not None
        write_spaceranger(section, folder / name, hires_px=400)
        write_truth(section, folder / name / TRUTH_FILE)
        write_slide(section.slide, folder / name / f"{name}.tif", quality=QUALITY)
        lines.append(f"{name},{patient},{name},,{name}/{name}.tif,{section.pitch_um:g},{section.spot_um:g}")
    with replacing(folder / COHORT_FILE) as fresh:
        fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_truth(section: Section, path: str | PathLike[str]) -> None:
    """Write a simulated section's true expression and region shares (half precision), atomically."""
    table = section.table
    with replacing(path) as fresh, fresh.open("wb") as stream:
        np.savez_compressed(
            stream,
            barcodes=np.array(table.obs_names, dtype=str),
            genes=np.array(table.var_names, dtype=str),
            programme=np.array(table.var["programme"], dtype=str),
            truth=table.layers["truth"].astype(np.float16),
            regions=table.obsm["regions"].astype(np.float16),
            region_names=np.array(table.uns["regions"], dtype=str),
        )


if __name__ == "__main__":
    main()
