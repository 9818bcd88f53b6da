"""Opening a section by what lies at a path."""

from __future__ import annotations

import contextlib
from pathlib import Path

from histoscribe.errors import HistoscribeError, SectionError
from histoscribe.formats import WORDS, find, kind_of
from histoscribe.section.model import Section, SectionOptions
from histoscribe.slide import Slide

_READABLE = (
    "name a Space Ranger or SpatialData folder, an h5ad file, or a cohort CSV with counts and positions"
)


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
        A Space Ranger folder (or its `outs/`, or one bin size or the segmented cells of Visium HD), an
        h5ad file in squidpy's convention, a SpatialData folder (zarr), or the `feature_slice.h5` of a Visium
        HD run.
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
    remedy = "name the Space Ranger folder that it lies in, with its spatial/ folder"
    raise SectionError("this is a matrix of counts without positions", where=path, remedy=remedy)


def _refusal(path: Path) -> SectionError:
    from histoscribe.section.readers.legacy import looks_like_counts_table

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
