"""What a table says about its section in `uns`, so that an h5ad file round-trips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histoscribe.errors import SectionError
from histoscribe.record import Kind, amend_record
from histoscribe.section.model import Section
from histoscribe.section.readers.visium_hd import run_folder

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.section.alignment import Alignment
    from histoscribe.slide import Slide


def finished(
    table: AnnData,
    *,
    kind: Kind,
    name: str,
    patient: str | None,
    slide: Slide | None,
    mpp: float,
    spot_um: float,
    pitch_um: float,
    warnings: tuple[str, ...],
    alignment: Alignment | None = None,
) -> Section:
    """Make the section of a table that was read, and describe it in the table's `uns`."""
    for value, what in ((mpp, "µm per pixel"), (spot_um, "spot diameter"), (pitch_um, "distance of spots")):
        if not (np.isfinite(value) and value > 0):
            raise SectionError(f"the {what} must be a positive number, not {value}", where=name)
    unique = tuple(dict.fromkeys(warnings))
    fit = "" if alignment is None else alignment.verdict
    section = Section(name, table, slide, mpp, spot_um, pitch_um, patient or name, unique, fit)
    describe(table, section, kind)
    return section


def describe(table: AnnData, section: Section, kind: Kind) -> None:
    """Write a section's name, patient and geometry into `table.uns`, keeping what else is there."""
    amend_record(
        table,
        kind=kind,
        name=section.name,
        patient=section.patient,
        mpp=float(section.mpp),
        spot_um=float(section.spot_um),
        pitch_um=float(section.pitch_um),
    )
    library = library_key(section.name)
    entry = dict(table.uns.get("spatial", {}).get(library, {}))
    scales = {**entry.get("scalefactors", {}), "spot_diameter_fullres": float(section.spot_um / section.mpp)}
    table.uns["spatial"] = {
        library: {
            "images": dict(entry.get("images", {})),
            "scalefactors": scales,
            "metadata": dict(entry.get("metadata", {})),
        }
    }


def library_key(name: str) -> str:
    """A section's name as a key of `uns["spatial"]`: HDF5 takes a slash for a group."""
    return name.replace("/", "_") or "section"


def section_name(path: Path) -> str:
    """A section's name from its file or folder: no endings, and not Space Ranger's own folders."""
    resolved = path.resolve()
    if resolved.is_dir():
        return run_folder(resolved).name.removesuffix(".zarr")
    return resolved.name.split(".")[0]


def number_in(mapping: Mapping[str, Any], key: str, path: Path) -> float | None:
    """A positive number; None where there is none.

    Raises
    ------
    SectionError
        If there is something else.
    """
    value = mapping.get(key)
    if value is None:
        return None
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError) as error:
        raise SectionError(f"{key} is {value!r}, not a number", where=path) from error
    if not (np.isfinite(number) and number > 0):
        raise SectionError(f"{key} is {number:g}, not a positive number", where=path)
    return number
