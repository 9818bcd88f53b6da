"""The sample that comes with Histoscribe: four small simulated sections of three patients.

`python -m histoscribe.simulate.sample FOLDER` makes it again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.errors import HistoscribeError, SectionError
from histoscribe.files import replacing

if TYPE_CHECKING:
    from histoscribe.progress import Progress
    from histoscribe.section import Section

SAMPLES = (("P1A", "P1", 11), ("P1B", "P1", 12), ("P2A", "P2", 21), ("P3A", "P3", 31))
SIZE_UM, GENES, QUALITY = 2100.0, 300, 70
COHORT_FILE = "cohort.csv"


def sample_folder() -> Path:
    """Where the sample lies: inside the installed package, or at the top of the repository.

    Raises
    ------
    SectionError
        If it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sample_data", package.parents[1] / "sample_data"):
        if (folder / COHORT_FILE).is_file():
            return folder
    raise SectionError(
        "the sample data are missing",
        where=package / "sample_data",
        remedy="make them with: python -m histoscribe.simulate.sample FOLDER",
    )


def sample_cohort() -> list[Section]:
    """Read the sample with the ordinary readers, and add the truth to each section.

    Returns
    -------
    list of Section
        `table.layers["truth"]`, `obsm["regions"]` and `var["programme"]` as `simulate_section` gives them.
    """
    from histoscribe.section import read_cohort
    from histoscribe.simulate.truth import TRUTH_FILE, attach_truth

    folder = sample_folder()
    sections = read_cohort(folder / COHORT_FILE)
    return [attach_truth(section, folder / section.name / TRUTH_FILE) for section in sections]


def write_sample(folder: Path, *, progress: Progress | None = None) -> None:
    """Simulate the sample into `folder`: one Space Ranger folder a section, slides and a cohort CSV."""
    from histoscribe.simulate.pyramid import write_pyramid
    from histoscribe.simulate.section import simulate_section
    from histoscribe.simulate.spaceranger import write_spaceranger
    from histoscribe.simulate.truth import TRUTH_FILE, write_truth

    lines = ["section,patient,path,positions,slide,pitch_um,spot_um"]
    for name, patient, seed in SAMPLES:
        section = simulate_section(
            seed, name=name, patient=patient, genes=GENES, size_um=SIZE_UM, progress=progress
        )
        assert section.slide is not None
        write_spaceranger(section, folder / name, hires_px=400)
        write_truth(section, folder / name / TRUTH_FILE)
        write_pyramid(section.slide, folder / name / f"{name}.tif", quality=QUALITY)
        lines.append(f"{name},{patient},{name},,{name}/{name}.tif,{section.pitch_um:g},{section.spot_um:g}")
    with replacing(folder / COHORT_FILE) as fresh:
        fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Make the sample from a shell."""
    parser = argparse.ArgumentParser(prog="python -m histoscribe.simulate.sample", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where to write it")
    try:
        write_sample(parser.parse_args(arguments).folder)
    except HistoscribeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
