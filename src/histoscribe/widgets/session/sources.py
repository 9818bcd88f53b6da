"""What a session's layers are made of: kept beside the file when saved, opened again when restored."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from histoscribe.errors import HistoscribeError, StorageError
from histoscribe.formats import kind_of
from histoscribe.progress import Progress
from histoscribe.section import Section, open_section, read_cohort_csv, write_section
from histoscribe.slide import Level, Slide, open_slide
from histoscribe.tiles import Region, read_regions, write_regions
from histoscribe.widgets.session.file import read_content, relative, resolved, write_content
from histoscribe.widgets.session.schema import Session, Source

_MOST_OLD = 200
_ADDRESS, _OWN = "://", (".h5ad", ".geojson")


@dataclass(frozen=True, eq=False)
class Captured:
    """A viewer's state at one moment, ready to be written."""

    content: Session
    """What the session file holds; paths are absolute, empty for tables that lie in no file."""
    tables: dict[str, Section]
    """Those tables, by the id of their source."""
    left_out: tuple[str, ...] = ()
    """Layers that a session does not keep."""
    regions: dict[str, tuple[Region, ...]] = field(default_factory=dict)
    """Regions too many to be shapes, by the id of their source; they lie in no file either."""


@dataclass(frozen=True, eq=False)
class Reopened:
    """A session that was read, and what could be opened of it."""

    content: Session
    sections: dict[str, Section] = field(default_factory=dict)
    slides: dict[str, Slide] = field(default_factory=dict)
    """`sections` and `slides`: by the id of their source."""
    paths: dict[str, Path] = field(default_factory=dict)
    """Where each source was opened from."""
    lost: tuple[str, ...] = ()
    """What could not be brought back, in plain words."""
    regions: dict[str, list[Region]] = field(default_factory=dict)
    """By the id of their source."""


def write_session(captured: Captured, path: Path, progress: Progress) -> Path:
    """Write a session, what lies in no file of its own into `NAME.files` beside it; on any thread.

    The session that stood at `path` stays whole until the new one is; then its tables that nothing refers to
    any more are removed. Raises `StorageError` if it cannot be written.
    """
    folder = _folder(path)
    before = _own_tables(path)
    sources = []
    every = captured.content.sources
    for source in progress.track(every, "writing tables", len(every)):
        section, place = captured.tables.get(source.id), source.path
        plain = re.sub(r"[^\w-]", "-", source.name)[:60] or "section"
        fresh = str(folder / f"{plain}-{secrets.token_hex(4)}")
        if section is not None:
            place = f"{fresh}.h5ad"
            write_section(section, place)
        elif source.id in captured.regions:
            place = f"{fresh}.geojson"
            folder.mkdir(exist_ok=True)
            write_regions(captured.regions[source.id], place)
        slide = relative(source.slide, path) if source.slide else ""
        near = place if _ADDRESS in place else relative(place, path)
        sources.append(source.model_copy(update={"slide": slide, "path": near}))
    progress.report("writing the session")
    write_content(captured.content.model_copy(update={"sources": tuple(sources)}), path)
    kept = {resolved(source.path, path) for source in sources}
    for old in before - kept:
        old.unlink(missing_ok=True)
    return path


def reopen(path: Path, progress: Progress) -> Reopened:
    """Read a session and open what it is made of; what cannot be opened is told, the rest comes back.

    Runs on any thread. Addresses on the network are not followed. `StorageError` if the file itself is
    unusable.
    """
    content = read_content(path)
    found = Reopened(content)
    lost: list[str] = []
    for source in progress.track(content.sources, "opening", len(content.sources)):
        place = resolved(source.path, path)
        try:
            if _ADDRESS in source.path:
                raise StorageError("lies on the network", where=source.path, remedy="open it from there")
            if not place.exists():
                remedy = "put it back and open the session again"
                raise StorageError("is no longer there", where=place, remedy=remedy)
            if source.kind == "slide":
                found.slides[source.id] = _slide(place, source)
            elif source.kind == "regions":
                found.regions[source.id] = read_regions(place)
            else:
                found.sections[source.id] = _section(place, path, source, lost)
            found.paths[source.id] = place
        except HistoscribeError as error:
            lost.append(str(error))
    return replace(found, lost=tuple(lost))


def _of_cohort(place: Path, name: str) -> Section:
    for row in read_cohort_csv(place):
        if row.section == name:
            return row.read()
    remedy = "add its row and open the session again"
    raise StorageError(f"no longer lists {name}", where=place, remedy=remedy)


def _section(place: Path, session: Path, source: Source, lost: list[str]) -> Section:
    if kind_of(place) == "cohort":
        return _of_cohort(place, source.name)
    section, beneath = None, resolved(source.slide, session) if source.slide else None
    if beneath is not None and beneath.exists():
        try:
            section = open_section(place, slide=_slide(beneath, source), bin_um=source.bin_um)
        except HistoscribeError as error:
            lost.append(str(error))
    elif beneath is not None:
        lost.append(f"{beneath}: the slide of {source.name} is no longer there; its table came back without.")
    section = section or open_section(place, bin_um=source.bin_um)
    if section.table.n_obs != source.spots:
        lost.append(f"{place}: holds {section.table.n_obs} spots, {source.spots} when the session was saved.")
    return replace(section, name=source.name)


def _slide(place: Path, source: Source) -> Slide:
    slide = open_slide(place)
    factor = source.slide_downsample / slide.levels[0].downsample
    levels: Any = slide.levels
    if factor != 1:
        levels = tuple(Level(level.pixels, level.downsample * factor) for level in levels)
    return replace(slide, levels=levels, mpp=source.mpp or slide.mpp)


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.name.split('.')[0]}.files")


def _own_tables(path: Path) -> set[Path]:
    """The tables in the session's own folder that the session file at `path` refers to."""
    if not path.exists():
        return set()
    try:
        sources = read_content(path).sources
    except StorageError:
        return set()
    places = [resolved(source.path, path) for source in sources][:_MOST_OLD]
    return {place for place in places if place.parent == _folder(path.resolve()) and place.suffix in _OWN}
