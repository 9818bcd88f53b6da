"""One table of all that can be opened: what a path is, told by its content, and who opens it.

Sniffing reads little (64 KiB of a file, the names in a folder, the uppermost names in an HDF5 file) and
imports nothing heavy. Rooms are named by their place and imported when something is opened, so that every
floor may ask this table. Other packages add a `Format` by an entry point of the group `histoscribe.formats`.
"""

import itertools
import logging
import os
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from histoscribe.errors import HistoscribeError, SectionError, SettingError, SlideError
from histoscribe.formats.glimpse import Glimpse, glimpse, located, remote_url
from histoscribe.formats.model import WORDS, Format, Kind
from histoscribe.formats.own import OWN, Late

__all__ = [
    "ENDINGS", "WORDS", "Format", "Glimpse", "Kind", "UnknownFormat", "find", "format_of", "formats",
    "glimpse", "kind_of", "located", "open", "remote_url", "write",
]  # fmt: skip

_ERRORS: dict[Kind, type[HistoscribeError]] = {"slide": SlideError, "section": SectionError}
_OPENERS: dict[Kind, Late] = {"slide": Late("slide:open_slide"), "section": Late("section:open_section")}
ENDINGS = {"slide": (".tif", ".tiff", ".zarr"), "section": (".h5ad", ".zarr", ".csv")}
"""What slides and sections are written as."""
GROUP = "histoscribe.formats"
_PACKED = (
    ((b"\x89HDF",), "a gzipped HDF5 file", "unpack it first (gunzip)"),
    ((b"PK\x03\x04",), "a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    ((b"X\n\0\0\0", b"RDX", b"RDA"), "an object of R", "write it from R as h5ad, or its counts as CSV"),
)
"""Beginnings of files that hold something known in a form that is not read."""
_MOST_HINTS = 5
_LOOKED_AT = 50


class UnknownFormat(HistoscribeError):
    """Nothing in the table knows what lies at a path."""


def formats() -> tuple[Format, ...]:
    """Every format: those of other packages, then our own."""
    return (*_added(tuple(sys.path)), *OWN)


def format_of(place: str | os.PathLike[str]) -> Format:
    """What lies at a path or URL, by its content.

    Raises `UnknownFormat` if nothing in the table knows it; `HistoscribeError` if there is nothing, it cannot
    be read, or it could be things of different kinds.
    """
    seen = glimpse(place)
    claims = _claims(seen, formats())
    kinds = {one.kind: one for one in reversed(claims)}
    if len(kinds) > 1:
        several = " and ".join(f"{WORDS[one.kind]} ({one.name})" for one in kinds.values())
        remedy = "name the part that is meant"
        raise HistoscribeError(f"this could be {several}", where=seen.url or seen.path, remedy=remedy)
    if not claims:
        problem, remedy = _unknown(seen)
        raise UnknownFormat(problem, where=seen.path, remedy=remedy)
    return claims[0]


def find(place: str | os.PathLike[str], kind: Kind) -> Format | None:
    """The format of one kind that knows what lies at a path; None where none does.

    Raises `SlideError`, `SectionError` or `HistoscribeError`, by the kind, if there is nothing, or it cannot
    be read.
    """
    seen = glimpse(place, _ERRORS.get(kind, HistoscribeError))
    claims = _claims(seen, (one for one in formats() if one.kind == kind), most=1)
    return claims[0] if claims else None


def kind_of(place: str | os.PathLike[str]) -> Kind:
    """The kind of what lies at a path or URL; raises as `format_of`."""
    return format_of(place).kind


def open(place: str | os.PathLike[str], **options: Any) -> Any:
    """Open whatever lies at a path or URL.

    Parameters
    ----------
    place : str or path
        A slide, a section, a cohort CSV, a table of samples, a model's folder, GeoJSON or a session.
    **options
        What its kind takes: `mpp` for a slide; `slide`, `patient`, `name`, `pitch_um`, `spot_um` and
        `bin_um` for a section; `scale` for a table.

    Returns
    -------
    Slide, Section, list of Section, BulkTable, Predictor, Imputer, Generator, list of Region, or Session

    Raises
    ------
    HistoscribeError
        If it is nothing that can be opened, is damaged, or could be several things.
    """
    found = format_of(place)
    opener = _OPENERS.get(found.kind, found.open)
    return opener(located(place), **options)


def write(what: Any, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write a slide or a section as what the ending of the path says; whole or not at all.

    Parameters
    ----------
    what : Slide, Section or AnnData
        A slide becomes `.ome.tif` or `.ome.zarr`; a section, or a table of spots that describes itself,
        `.h5ad` or `.zarr` (SpatialData); a section `.csv` too.
    path : str or path
        Where to; what stands there is replaced.
    **options
        For a slide `quality` (1 to 100: JPEG, with loss) and `progress`; for a CSV `genes` and `progress`.

    Returns
    -------
    Path
        The file or folder written.

    Raises
    ------
    SettingError
        If it cannot be written with this ending.
    HistoscribeError
        If it holds something that cannot be stored, or may not be written there.
    """
    kind, target = ("slide" if hasattr(what, "levels") else "section"), Path(path)
    if target.suffix.lower() not in ENDINGS[kind]:
        problem = f"a {kind} cannot be written as {target.suffix or 'a name without an ending'}"
        raise SettingError(problem, where=target, remedy=f"end it in {', '.join(ENDINGS[kind])}")
    written: Path = Late(f"{kind}:write_{kind}")(what, target, **options)
    return written


def _claims(seen: Glimpse, asked: Iterable[Format], most: int | None = None) -> list[Format]:
    return list(itertools.islice((one for one in asked if one.sniff(seen)), most))


def _unknown(seen: Glimpse) -> tuple[str, str]:
    """What is wrong with something that nothing knows, and what to do."""
    if seen.is_folder:
        problem = "this folder is nothing that is known"
        if held := [f"{name} ({WORDS[kind]})" for name, kind in _held(seen)]:
            return f"{problem}, but it holds {', '.join(held)}", "name one of them"
        return problem, "name a Space Ranger, SpatialData, OME-Zarr or DICOM folder, a model, or a file"
    for marks, what, remedy in _PACKED:
        if seen.unpacked.startswith(marks):
            return f"this is {what}", remedy
    if seen.path.suffix.lower() == ".gmt":
        return "these are gene sets", "name them with --sets"
    if seen.unpacked[257:262] == b"ustar":
        return "this is a tar archive", "unpack it first"
    name = seen.path.name.lower()
    promised = [one.name for one in formats() if any(fnmatch(name, shape) for shape in one.patterns)]
    if promised:
        problem = f"it is named like {' or '.join(promised)}, but its content is something else"
        return problem, "copy it again, or name it as what it is"
    remedy = "name a slide, a section, a cohort CSV, a table, a model's folder, GeoJSON or a session"
    return "not a file that is known", remedy


def _held(seen: Glimpse) -> list[tuple[str, Kind]]:
    """The first things in a folder that are known; nothing below them is looked at."""
    found: list[tuple[str, Kind]] = []
    for name in sorted(name for name in seen.names if not name.startswith("."))[:_LOOKED_AT]:
        try:
            claims = _claims(glimpse(seen.path / name), formats(), most=1)
        except HistoscribeError:
            continue
        if claims:
            found.append((name, claims[0].kind))
        if len(found) == _MOST_HINTS:
            break
    return found


@lru_cache(maxsize=1)
def _added(_: tuple[str, ...]) -> tuple[Format, ...]:
    """The formats of other packages on this search path; one that cannot be used is logged and left out."""
    from importlib.metadata import entry_points

    found = []
    for entry in entry_points(group=GROUP):
        try:
            known = entry.load()
        except Exception as error:  # whatever another package raises, our own formats still open
            logging.getLogger(__name__).warning("the format %s is left out: %s", entry.value, error)
            continue
        if isinstance(known, Format) and known.kind in get_args(Kind):
            found.append(known)
        else:
            logging.getLogger(__name__).warning("the format %s is left out: no Format", entry.value)
    return tuple(found)
