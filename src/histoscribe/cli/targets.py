"""What a path on the command line is opened as, and where a result may go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.errors import HistoscribeError, SettingError, StorageError, require_known
from histoscribe.formats import WORDS, Kind, UnknownFormat, kind_of
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable
    from histoscribe.genes.sets import GeneSets
    from histoscribe.section import Section
    from histoscribe.section.cohort import CohortRow
    from histoscribe.slide import Slide

CARD = "card.json"
_ZARR_MARKS = ("zarr.json", ".zattrs", ".zgroup")


def open_target(path: Path, *, section: str | None = None, mpp: float | None = None) -> Section | Slide:
    """Open a slide, a section, or one section of a cohort file, which is to be named where it has several.

    `mpp`: µm per full-resolution pixel of a slide that does not state it. Raises `HistoscribeError` if it is
    none of these or cannot be read; `SettingError` where a section is given `mpp`.
    """
    kind = _one_of_kinds(path, "slide", "section", "cohort", remedy="name a slide or a section instead")
    if kind == "slide":
        from histoscribe.slide import open_slide

        refuse_given("this is a slide, not a cohort", path, section=section)
        return open_slide(path, mpp=mpp)
    refuse_given("this is no bare slide: its scale comes with its spots, not from --mpp", path, mpp=mpp)
    return open_measured(path, section=section)


def open_measured(path: Path, *, section: str | None = None) -> Section:
    """Open a section, or one section of a cohort file."""
    remedy = "name a Space Ranger folder, an h5ad file or a cohort CSV"
    kind = _one_of_kinds(path, "section", "cohort", remedy=remedy)
    from histoscribe.section import open_section, read_cohort_csv

    if kind == "section":
        refuse_given("this is one section, not a cohort", path, section=section)
        return open_section(path)
    rows = {row.section: row for row in read_cohort_csv(path)}
    if section is None and len(rows) == 1:
        return next(iter(rows.values())).read()
    if section not in rows:
        problem = "this cohort has several sections" if section is None else f"no section called {section}"
        raise SettingError(problem, where=path, remedy=f"choose one with --section: {', '.join(rows)}")
    return rows[section].read()


def open_samples(path: Path, *, section: str | None = None, scale: str | None = None) -> BulkTable | Section:
    """Open a table of samples, or a section as one of spots.

    Raises `HistoscribeError` if it is neither, or cannot be read.
    """
    try:
        kind = _one_of_kinds(path, "table", "section", "cohort", remedy="name a table's file or a section")
    except UnknownFormat:
        if not path.is_file():
            raise
        kind = "table"  # whose reader says best what is wrong
    if kind != "table" or section is not None:
        refuse_given("a section says itself what its values are", path, scale=scale)
        return open_measured(path, section=section)
    from histoscribe.bulk import read_table

    return read_table(path, scale=scale)


def open_described(
    path: Path,
    about: Path | None,
    *,
    patient: str | None = None,
    class_: str | None = None,
    only: str | None = None,
    section: str | None = None,
    scale: str | None = None,
) -> BulkTable | Section:
    """As `open_samples`; a table is joined with what is known of its samples, see `with_samples`."""
    from histoscribe.bulk import BulkTable
    from histoscribe.bulk.samples import file_beside, with_samples

    opened = open_samples(path, section=section, scale=scale)
    if not isinstance(opened, BulkTable):
        why = "a section's spots are no samples that a file describes"
        refuse_given(why, path, samples=about, only=only, patient=patient)
        return opened
    named = {"class": class_, "patient": patient}
    roles = {role: column for role, column in named.items() if column is not None}
    return with_samples(opened, about or file_beside(path), roles=roles, only=only)


def gene_sets(paths: Sequence[Path] | None) -> GeneSets:
    """The shipped gene sets and those of some files, which win."""
    from histoscribe.genes import read_gene_sets, shipped_gene_sets

    found = shipped_gene_sets()
    for path in paths or ():
        found |= read_gene_sets(path)
    return found


def refuse_given(why: str, where: str | Path, **options: object) -> None:
    """Raise `SettingError`, which says `why`, if one of these options was given: none is passed over."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise SettingError(why, where=where, remedy=f"leave {' and '.join(given)} out")


def open_cohort(
    paths: Sequence[Path],
    *,
    exclude: Sequence[str] = (),
    only: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Section]:
    """Read a cohort file, or the sections named one by one; those left out are not read.

    Raises `SettingError` if a name is not in the cohort, or nothing is left.
    """
    from histoscribe.section import read_cohort, read_cohort_csv

    remedy = "name a cohort CSV, Space Ranger folders or h5ad files"
    kinds = [_one_of_kinds(path, "cohort", "section", remedy=remedy) for path in paths]
    if kinds != ["cohort"]:
        if exclude or only:
            raise SettingError("sections were named one by one", remedy="leave --exclude and --only out")
        return read_cohort(list(paths), progress=progress)
    rows = read_cohort_csv(paths[0])
    names = [row.section for row in rows]
    require_known("section", [*exclude, *only], names, where=paths[0])
    kept = [row for row in rows if row.section not in exclude and (not only or row.section in only)]
    if not kept:
        raise SettingError("no section is left", where=paths[0], remedy="exclude fewer of them")
    tracked = (progress or Progress()).track(kept, "reading sections", len(kept))
    return [row.read() for row in tracked]


def cohort_rows(path: Path) -> list[CohortRow]:
    """The sections of a cohort; none of anything else, and where it is wrong, as opening it says."""
    from histoscribe.section import read_cohort_csv

    try:
        return read_cohort_csv(path) if kind_of(path) == "cohort" else []
    except HistoscribeError:
        return []


def sources(*paths: Path | None) -> list[Path]:
    """What lies at these paths, and what a cohort among them names: nothing that a result may replace."""
    given = [path for path in paths if path is not None]
    return [*given, *(part for path in given for row in cohort_rows(path) for part in row.parts)]


def output_file(path: Path, *endings: str, inputs: Sequence[Path] = ()) -> Path:
    """Check before the work starts that `path` can become the result.

    Raises `SettingError` if its ending is not one of `endings`, or it is one of the inputs; `StorageError` if
    it is a folder, or lies where nothing may be written.
    """
    if path.suffix.lower() not in endings:
        remedy = "give it that ending with --out"
        raise SettingError(f"the result must end in {' or '.join(endings)}", where=path, remedy=remedy)
    if any(os.path.realpath(path) == os.path.realpath(entry) for entry in inputs):
        remedy = "choose another name with --out"
        raise SettingError("the result would replace its own input", where=path, remedy=remedy)
    if path.is_dir():
        raise StorageError("this is a folder", where=path, remedy="name a file with --out")
    _check_writable(path)
    return path


def output_place(path: Path, *endings: str, inputs: Sequence[Path] = ()) -> Path:
    """As `output_file`, but a folder that ends in `.zarr` may be replaced by another one."""
    if path.suffix.lower() != ".zarr" or not path.is_dir():
        return output_file(path, *endings, inputs=inputs)
    own = Path(os.path.realpath(path))
    if any(own in (real, *real.parents) for real in map(Path, map(os.path.realpath, inputs))):
        raise SettingError("the result would replace its own input", where=path, remedy="choose another name")
    if any(path.iterdir()) and not any((path / mark).exists() for mark in _ZARR_MARKS):
        remedy = "choose another name"
        raise StorageError("this folder is no zarr store, so it is not replaced", where=path, remedy=remedy)
    _check_writable(path)
    return path


def output_folder(path: Path) -> Path:
    """Check before the work starts that `path` can become a model; never replace a folder of other things.

    Raises `StorageError` if it holds something other than a model, or lies where nothing may be written.
    """
    if path.exists() and not (path / CARD).exists() and (path.is_file() or any(path.iterdir())):
        remedy = "name a new folder with --out"
        raise StorageError("this exists and is not a model, so it is not replaced", where=path, remedy=remedy)
    _check_writable(path)
    return path


def _one_of_kinds(path: Path, *kinds: Kind, remedy: str) -> Kind:
    """The kind of what lies at a path, if it is one of these."""
    kind = kind_of(path)
    if kind not in kinds:
        wanted = " or ".join(WORDS[one] for one in kinds)
        raise HistoscribeError(f"this is {WORDS[kind]}, not {wanted}", where=path, remedy=remedy)
    return kind


def _check_writable(path: Path) -> None:
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        remedy = "choose another place with --out"
        raise StorageError("this is a file, not a folder", where=folder, remedy=remedy)
    if not os.access(folder, os.W_OK):
        remedy = "choose another one with --out"
        raise StorageError("this folder may not be written to", where=folder, remedy=remedy)
