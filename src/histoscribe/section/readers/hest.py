"""HEST-1k as it lies on disk: where the parts of a section are, whose it is, and what is doubtful."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from histoscribe.bounds.content import read_bytes, read_json
from histoscribe.errors import SectionError, told_as
from histoscribe.section.model import Section, SectionOptions
from histoscribe.section.readers.h5ad import read_h5ad, section_of_table
from histoscribe.slide.scale import positive

TABLE_BYTES, _RECORD_BYTES = 64 << 20, 1 << 20
POOL_UM = 100.0
"""Side of the bins that Xenium's transcripts were pooled in."""
SAME_TISSUE = {"TENX128": "TENX155"}
"""Sections that the archive holds twice: the first is left out of a cohort that has the second."""
OWN_PATIENTS = frozenset({"TENX153", "TENX154", "TENX155", "TENX156"})
"""Sections that the archive's table gives as one patient, and that come from several."""
_POOLED = re.compile(r"\d{3,}x\d{3,}")
_HEADER = (b"dataset_title", b"st_technology")
_BLANK = ("", "nan", "none", "null", "n/a")
_SAME_MPP, _SAME_PITCH = 0.02, 0.1


@dataclass(frozen=True)
class ArchiveEntry:
    """One section of the archive that lies on this disk, not yet read."""

    name: str
    """Its id, such as `TENX95`."""
    path: Path
    """Its table, `st/ID.h5ad`."""
    patient: str
    """Study and patient, one person in all sections of one study; empty where neither is stated."""
    facts: Mapping[str, str]
    """Its row of the archive's table, with what `metadata/ID.json` adds."""
    doubts: tuple[str, ...]
    """What is doubtful about its origin."""


def archive_root(path: Path) -> Path | None:
    """The archive's folder, where `path` is it or its table `HEST_v1_x_y.csv`; else None."""
    if path.is_dir():
        held = (path / "st").is_dir() and ((path / "wsis").is_dir() or (path / "metadata").is_dir())
        return path if held else None
    if path.suffix.lower() != ".csv" or not path.is_file():
        return None
    with path.open("rb") as stream:
        header = stream.readline(1 << 16)
    return path.parent if all(name in header for name in _HEADER) else None


def archive_entries(root: Path) -> list[ArchiveEntry]:
    """The sections whose tables lie in an archive's `st/`, each tissue once; none of them is opened.

    Raises `SectionError` if there is none, or the archive's table is damaged.
    """
    names = sorted(path.stem for path in (root / "st").glob("*.h5ad"))
    if not names:
        raise SectionError("this archive holds no section", where=root / "st", remedy="copy st/ID.h5ad there")
    return [archive_entry(root, name) for name in names if SAME_TISSUE.get(name) not in names]


def open_hest(path: Path, options: SectionOptions) -> Section:
    """Open `st/ID.h5ad` of an archive on its slide `wsis/ID.tif`.

    `in_tissue` means nothing there and is not looked at. What was estimated of the µm per pixel from the
    spots beats what the image file declares. Raises `SectionError` as `open_h5ad`.
    """
    root, name = path.parent.parent, path.stem
    entry = archive_entry(root, name)
    table, doubts = read_h5ad(path), list(entry.doubts)
    if "in_tissue" in table.obs:
        if not table.obs["in_tissue"].astype(str).isin(["1", "1.0", "True"]).all():
            doubts.append("in_tissue means nothing in this archive: all its spots were kept")
        del table.obs["in_tissue"]
    pooled = all(map(_POOLED.fullmatch, map(str, table.obs_names[:100])))
    mpp, said = _mpp(entry)
    stated = _number(entry, "inter_spot_dist")
    xenium = "xenium" in entry.facts.get("st_technology", "").lower()
    pitch = (POOL_UM if xenium else stated) if pooled else (stated if mpp is None else None)
    slide = root / "wsis" / f"{name}.tif"
    if options.slide is None and not slide.is_file():
        doubts.append(f"its slide wsis/{slide.name} is not there: the reduced image in its table was taken")
    wanted = replace(
        options,
        slide=options.slide or (slide if slide.is_file() else None),
        name=options.name or name,
        patient=options.patient or entry.patient or None,
        pitch_um=options.pitch_um or pitch,
        spot_um=options.spot_um or (pitch if pooled else _number(entry, "spot_diameter")),
    )
    for key in [key for key in table.uns if str(key).startswith("pixel_size")]:
        del table.uns[key]  # what the image declares would beat the estimate
    section = section_of_table(table, path, wanted, mpp=mpp, doubts=(*doubts, *said))
    found = section.pitch_um
    if found and stated and not pooled and abs(found / stated - 1) > _SAME_PITCH:
        words = f"the archive says that its spots lie {stated:g} µm apart, by their µm per pixel {found:.3g}"
        return replace(section, warnings=(*section.warnings, words))
    return section


def archive_entry(root: Path, name: str) -> ArchiveEntry:
    """What an archive states of one section, which need not lie there."""
    path = root / "metadata" / f"{name}.json"
    own = _told(read_json(path, _RECORD_BYTES, SectionError, "copy it again")) if path.is_file() else {}
    facts = {**_table(root).get(name, {}), **own}
    study, patient = facts.get("dataset_title", ""), " ".join(facts.get("patient", "").split()).casefold()
    doubts = []
    if name in OWN_PATIENTS:
        patient = name.casefold()
        doubts.append("the archive gives TENX153 to TENX156 as one patient, which they are not")
    elif not patient and study:
        words = "its patient is not stated: such sections of its study are held for one patient's"
        doubts.append(f"{words}, who may be one of those named")
    elif not study:
        doubts.append("neither its study nor its patient is stated")
    if name in SAME_TISSUE or name in SAME_TISSUE.values():
        doubts.append(f"{' and '.join(next(iter(SAME_TISSUE.items())))} are one tissue: never use both")
    if not facts.get("license"):
        doubts.append("its licence is not stated: ask its owners before a model of it is passed on")
    whose = f"{study}: {patient}" if study and patient else study
    return ArchiveEntry(name, root / "st" / f"{name}.h5ad", whose, facts, tuple(doubts))


def _mpp(entry: ArchiveEntry) -> tuple[float | None, list[str]]:
    """µm per pixel, and whether what is declared contradicts it."""
    found, declared = (_number(entry, f"pixel_size_um_{name}") for name in ("estimated", "embedded"))
    if found and declared and abs(declared / found - 1) > _SAME_MPP:
        words = f"its image declares {declared:.4g} µm per pixel, its spots say {found:.4g}"
        return found, [f"{words}: the spots were believed"]
    if found is None and declared is not None:
        return declared, [
            "its µm per pixel are what its image declares: nobody estimated them from the spots"
        ]
    return found, []


def _number(entry: ArchiveEntry, key: str) -> float | None:
    number = positive(entry.facts.get(key))
    return number if number and number < 1e6 else None


def _table(root: Path) -> Mapping[str, Mapping[str, str]]:
    """The newest of the archive's tables by id; empty where there is none."""
    tables = list(root.glob("HEST_v*.csv"))
    if not tables:
        return {}
    newest = max(tables, key=lambda path: [int(part) for part in re.findall(r"\d+", path.stem)])
    return _rows(newest, newest.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _rows(path: Path, _stamp: int) -> Mapping[str, Mapping[str, str]]:
    wrong = (UnicodeDecodeError, csv.Error)
    with told_as(SectionError, "not a CSV file", *wrong, where=path, remedy="copy it again"):
        text = read_bytes(path, TABLE_BYTES).decode("utf-8-sig")
        rows = [_told(row) for row in csv.DictReader(io.StringIO(text))]
    return {row["id"]: row for row in rows if "id" in row}


def _told(row: Mapping[Any, Any]) -> dict[str, str]:
    """What a row truly says: neither blanks nor what pandas writes for them."""
    cells = {str(key).strip(): str(value).strip() for key, value in row.items() if value is not None}
    return {key: value for key, value in cells.items() if value.lower() not in _BLANK}
