"""Cohorts: many sections named in one CSV, or by their paths."""

import contextlib
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoscribe.bounds.content import read_bytes
from histoscribe.errors import HistoscribeError, SectionError, told_as
from histoscribe.formats import WORDS, find, kind_of
from histoscribe.progress import Progress
from histoscribe.section.assembly import section_name
from histoscribe.section.model import Section, SectionOptions
from histoscribe.section.readers.hest import archive_entries, archive_root
from histoscribe.section.readers.legacy import looks_like_counts_table, read_legacy
from histoscribe.section.scale import LEGACY_PITCH_UM, LEGACY_SPOT_UM
from histoscribe.section.table import examples, repeated
from histoscribe.slide import Slide, open_slide
from histoscribe.slide.scale import positive

REQUIRED = ("section", "patient", "path")
COLUMNS = (*REQUIRED, "positions", "slide", "pitch_um", "spot_um")
CSV_BYTES = 16 << 20
_READABLE = (
    "name a Space Ranger, Xenium or SpatialData folder, an h5ad file, or a cohort CSV of counts and positions"
)


@dataclass(frozen=True)
class CohortRow:
    """One section of a cohort, checked but not yet read."""

    section: str
    patient: str
    """`section` and `patient`: names; the patient may be empty."""
    path: Path
    """A Space Ranger folder, an h5ad file, or a counts table where `positions` is given."""
    positions: Path | None = None
    slide: Path | None = None
    pitch_um: float | None = None
    spot_um: float | None = None

    @property
    def parts(self) -> list[Path]:
        """The files and folders that it lies in."""
        return [part for part in (self.path, self.positions, self.slide) if part is not None]

    def read(self) -> Section:
        """Read this section."""
        patient = self.patient or None
        if self.positions is None:
            return open_section(
                self.path,
                slide=self.slide,
                patient=patient,
                name=self.section,
                pitch_um=self.pitch_um,
                spot_um=self.spot_um,
            )
        return read_legacy(
            self.path,
            self.positions,
            self.slide,
            pitch_um=self.pitch_um or LEGACY_PITCH_UM,
            spot_um=self.spot_um or LEGACY_SPOT_UM,
            name=self.section,
            patient=patient,
        )

    def open_slide(self, *, mpp: float | None = None) -> Slide:
        """The slide that its path is, without spots, or else its section's.

        `mpp`: µm per full-resolution pixel of a slide that does not state it.
        """
        if self.slide is None and kind_of(self.path) != "slide":
            return self.read().scaled_slide
        return open_slide(self.slide or self.path, mpp=mpp)


def read_cohort(source: str | Path | Iterable[str | Path], progress: Progress | None = None) -> list[Section]:
    """Read every section of a cohort.

    Parameters
    ----------
    source : path, or paths
        A folder in HEST-1k's layout, or a CSV with the columns `section,patient,path` and optionally
        `positions,slide,pitch_um,spot_um`, its paths relative to it; or the paths of sections,
        each its own patient.
    progress : Progress, optional
        Told about every section; may cancel.

    Raises
    ------
    SectionError
        If the CSV is wrong (every problem is named, with its line) or a section cannot be read.
    """
    paths = [Path(source)] if isinstance(source, str | Path) else [Path(path) for path in source]
    rows: list[CohortRow] = []
    for path in paths:
        listed = archive_root(path) if path.is_dir() else path.suffix.lower() == ".csv"
        rows += read_cohort_csv(path) if listed else [CohortRow(section_name(path), "", path)]
    if not rows:
        raise SectionError("no section was named", remedy="name a cohort CSV or the paths of sections")
    if twice := repeated([row.section for row in rows]):
        problem = f"sections named twice: {examples(twice)}"
        raise SectionError(problem, where=paths[0], remedy="give each section its own name in a cohort CSV")
    return [row.read() for row in (progress or Progress()).track(rows, "reading sections", len(rows))]


def read_cohort_csv(path: Path) -> list[CohortRow]:
    """Read and check a cohort CSV, or a folder in HEST-1k's layout, without opening its sections.

    Raises
    ------
    SectionError
        Once, with every problem found and the line that it is on.
    """
    if root := archive_root(path):
        return [CohortRow(each.name, each.patient, each.path) for each in archive_entries(root)]
    if path.is_dir():
        remedy = f"name a CSV with the columns {', '.join(REQUIRED)}"
        raise SectionError("this folder is no cohort", where=path, remedy=remedy)
    problems: list[str] = []
    rows = []
    for number, cells in _table(path):
        row, wrong = _row(cells, path.parent)
        problems += [f"line {number}: {problem}" for problem in wrong]
        if row is not None:
            rows.append(row)
    if twice := repeated([row.section for row in rows]):
        problems.append(f"sections named twice: {examples(twice)}")
    if problems:
        remedy = "mend these lines; paths are relative to the CSV"
        raise SectionError("; ".join(problems), where=path, remedy=remedy)
    return rows


def _table(path: Path) -> list[tuple[int, dict[str, str]]]:
    content = read_bytes(path, CSV_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    with told_as(SectionError, "not a CSV file", csv.Error, where=path):
        first = text.split("\n", 1)[0]
        reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
        header = [name.strip().lower() for name in next(reader, [])]
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    known = f"the columns are {', '.join(COLUMNS)}; only {', '.join(REQUIRED)} are required"
    problems = [f"unknown column {name!r}" for name in header if name not in ("", *COLUMNS)]
    problems += [f"no column {name!r}" for name in REQUIRED if name not in header]
    problems += [f"column {name!r} twice" for name in repeated(header)]
    if problems:
        raise SectionError("; ".join(problems), where=path, remedy=known)
    filled = [(number, cells) for number, cells in lines if any(cells)]
    if not filled:
        raise SectionError("the cohort is empty", where=path, remedy="add one line per section")
    for number, cells in filled:
        if len(cells) > len(header):
            raise SectionError(f"line {number} has {len(cells)} cells, the header {len(header)}", where=path)
    return [(number, dict(zip(header, cells, strict=False))) for number, cells in filled]


def _row(cells: dict[str, str], folder: Path) -> tuple[CohortRow | None, list[str]]:
    problems = [f"no {name}" for name in ("section", "path") if not cells.get(name)]
    found: dict[str, Any] = {name: cells.get(name, "") for name in ("section", "patient")}
    for name in ("path", "positions", "slide", "pitch_um", "spot_um"):
        if cell := cells.get(name):
            try:
                found[name] = _micrometres(cell) if name.endswith("_um") else _place(cell, folder)
            except ValueError as error:
                problems.append(f"{name} {error}")
    return None if problems else CohortRow(**found), problems


def _place(cell: str, folder: Path) -> Path:
    if "://" in cell:
        raise ValueError(f"is an address ({cell}); download it first")
    target = folder / Path(cell).expanduser()
    if not target.exists():
        raise ValueError(f"{cell} does not exist")
    return target


def _micrometres(cell: str) -> float:
    number = positive(cell)
    if number is None or number >= 1e6:
        raise ValueError(f"is {cell}, not a positive number of µm")
    return number


def open_section(
    path: str | Path,
    *,
    slide: Slide | str | Path | None = None,
    patient: str | None = None,
    name: str | None = None,
    pitch_um: float | None = None,
    spot_um: float | None = None,
    bin_um: float | None = None,
) -> Section:
    """Open a measured or predicted section; its format is told by its content.

    Parameters
    ----------
    path : path
        A Space Ranger folder (or its `outs/`, or one bin size or the segmented cells of Visium HD), a Xenium
        folder, an h5ad file in squidpy's convention, a SpatialData folder (zarr), or a `feature_slice.h5`.
    slide : Slide or path, optional
        The full-resolution image, checked to fit; without it what the section itself holds.
    patient, name : str, optional
        Where not given, what the section says of itself, else the name of its file.
    pitch_um, spot_um : float, optional
        Distance of neighbouring spots and their diameter, where the section does not say.
    bin_um : float, optional
        Which bin size of Visium HD to open; 8 µm where not given.

    Raises
    ------
    SectionError
        If it is missing, damaged, or not a section.
    SlideError
        If the slide that was named cannot be read.
    """
    path = Path(path)
    known = find(path, "section")
    if known is None:
        raise _refusal(path)
    wanted = SectionOptions(slide, patient, name, pitch_um, spot_um, bin_um)
    section: Section = known.open(path, options=wanted)
    return section


def refuse_matrix(path: Path, **_: object) -> Section:
    """Say what a matrix of counts lacks to be a section."""
    remedy = "name the Space Ranger folder that it lies in, with its spatial/ folder, or the Xenium folder"
    raise SectionError("this is a matrix of counts without positions", where=path, remedy=remedy)


def _refusal(path: Path) -> SectionError:
    if path.is_dir():
        problem = "this folder is no Space Ranger run: it has no spatial/ folder"
    elif looks_like_counts_table(path):
        remedy = "name its positions and slide in a cohort CSV (section,patient,path,positions,slide)"
        return SectionError("this is a table of counts without positions", where=path, remedy=remedy)
    else:
        problem = "this is not a section in a known format"
    with contextlib.suppress(HistoscribeError):
        problem = f"this is {WORDS[kind_of(path)]}, not a section"
    return SectionError(problem, where=path, remedy=_READABLE)
