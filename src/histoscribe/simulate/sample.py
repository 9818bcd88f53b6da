"""The sample that comes with Histoscribe: four small simulated sections of three patients, with their truth.

`python -m histoscribe.simulate.sample FOLDER` makes it again.
"""

from __future__ import annotations

import argparse
import sys
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from histoscribe.errors import HistoscribeError, SectionError
from histoscribe.files import replacing

if TYPE_CHECKING:
    from histoscribe.progress import Progress
    from histoscribe.section import Section

SAMPLES = (("P1A", "P1", 11), ("P1B", "P1", 12), ("P2A", "P2", 21), ("P3A", "P3", 31))
SIZE_UM, GENES, QUALITY = 2100.0, 300, 70
COHORT_FILE, TRUTH_FILE = "cohort.csv", "truth.npz"
_LARGEST = 500_000_000


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

    folder = sample_folder()
    sections = read_cohort(folder / COHORT_FILE)
    return [attach_truth(section, folder / section.name / TRUTH_FILE) for section in sections]


def write_sample(folder: Path, *, progress: Progress | None = None) -> None:
    """Simulate the sample into `folder`: one Space Ranger folder a section, slides and a cohort CSV."""
    from histoscribe.simulate.section import simulate_section
    from histoscribe.simulate.spaceranger import write_spaceranger
    from histoscribe.slide import write_slide

    lines = ["section,patient,path,positions,slide,pitch_um,spot_um"]
    for name, patient, seed in SAMPLES:
        section = simulate_section(
            seed, name=name, patient=patient, genes=GENES, size_um=SIZE_UM, progress=progress
        )
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


def attach_truth(section: Section, path: str | PathLike[str]) -> Section:
    """The section with `layers["truth"]`, `obsm["regions"]` and `var["programme"]` from its truth file.

    Raises `SectionError` if the file is damaged or belongs to other spots or genes.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise SectionError("the truth file is too large", where=path, remedy="simulate it again")
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        rows = {name: row for row, name in enumerate(found["barcodes"].tolist())}
        columns = {name: column for column, name in enumerate(found["genes"].tolist())}
        take = [rows[name] for name in section.table.obs_names]
        keep = [columns[name] for name in section.table.var_names]
        table = section.table.copy()
        table.layers["truth"] = found["truth"][np.ix_(take, keep)].astype(np.float32)
        table.obsm["regions"] = found["regions"][take].astype(np.float32)
        table.uns["regions"] = found["region_names"].tolist()
        table.var["programme"] = found["programme"][keep]
    except (OSError, KeyError, ValueError, IndexError, EOFError, BadZipFile) as error:
        raise SectionError(
            "the truth file is damaged or belongs to another section", where=path, remedy="simulate it again"
        ) from error
    return section.with_table(table)


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
