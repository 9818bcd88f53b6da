"""From what a reader found to the section: its slide laid beneath, its table saying what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.arrays import Wide
from histoscribe.errors import SectionError
from histoscribe.record import Kind, amend_record
from histoscribe.section.alignment import laid_on, opened
from histoscribe.section.model import Section, SectionOptions, flip
from histoscribe.section.readers.held_images import full_image
from histoscribe.section.readers.visium_hd import run_folder
from histoscribe.section.scale import SpotScale
from histoscribe.section.table import Counts

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.slide import Slide


def assemble(
    counts: Counts,
    rows: NDArray[np.intp],
    centres: Wide,
    scale: SpotScale,
    options: SectionOptions,
    *,
    name: str,
    image: tuple[Slide | None, list[str]] = (None, []),
    obs: Mapping[str, Any] | None = None,
) -> Section:
    """Lay measured spots on their slide and make a section of them.

    `rows` (spots,): which rows of the counts; `centres` (spots, 2): as (row, column) in pixels of the image
    that they were placed on; `scale`: of these pixels, with all that is doubtful about the spots; `options`:
    its slide is laid beneath where it names one, else `image`, or what that was made from; `name`: where the
    options give none; `image`: a reduced image that belongs to the spots, and what is doubtful about it;
    `obs` (spots,): columns about the spots. Raises `SectionError` if the slide does not fit, or a length is
    no positive number.
    """
    import anndata

    own, doubts = image
    beneath = own if options.slide is None else opened(options.slide)
    if options.slide is not None:
        doubts = []
    elif own is not None and (full := full_image(own)) is not None:
        beneath = full
        doubts = [*doubts, f"its reduced image was made from {full.path.name} beside it, which was taken"]
    doubts = [*counts.warnings, *scale.warnings, *doubts]
    known = pd.DataFrame({"in_tissue": True, **(obs or {})}, index=[counts.spots[row] for row in rows])
    genes = pd.DataFrame(index=list(counts.genes))
    if counts.gene_ids is not None:
        genes["gene_ids"] = list(counts.gene_ids)
    everything = np.array_equal(rows, np.arange(len(counts.spots)))
    matrix = counts.matrix if everything else counts.matrix[rows]
    table = anndata.AnnData(X=matrix, obs=known, var=genes, obsm={"spatial": flip(centres)})
    name = options.name or name
    patient, sizes = options.patient or name, (scale.mpp, scale.spot_um, scale.pitch_um)
    section = Section(name, table, beneath, *sizes, patient, tuple(doubts))
    return aligned(section, None if own is None else own.shape)


def aligned(section: Section, expected: tuple[int, int] | None, kind: Kind = "measured") -> Section:
    """The section with its spots in the pixels of its slide, which is checked to fit, see `laid_on`."""
    where, placed = (section.slide, section.centres, section.mpp), kind == "predicted"
    slide, centres, mpp, alignment = laid_on(*where, expected=expected, placed=placed)
    if alignment.factor != 1.0:
        section.table.obsm["spatial"] = flip(centres)
        section.table.uns.pop("spatial", None)
    doubts = (*section.warnings, *alignment.warnings)
    fit = alignment.verdict
    return finished(replace(section, slide=slide, mpp=mpp, warnings=doubts, alignment=fit), kind)


def finished(section: Section, kind: Kind = "measured") -> Section:
    """Check a section's lengths, say each doubt once, and let its table say what it is."""
    lengths = {"µm per pixel": section.mpp, "spot diameter": section.spot_um}
    for what, value in {**lengths, "distance of spots": section.pitch_um}.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise SectionError(f"the {what} must be a positive number, not {value}", where=section.name)
    section = replace(section, warnings=tuple(dict.fromkeys(section.warnings)))
    describe(section, kind)
    return section


def describe(section: Section, kind: Kind, *, table: AnnData | None = None) -> None:
    """Write a section's name, patient and geometry into its table (or another); the rest stays."""
    table = section.table if table is None else table
    amend_record(
        table,
        kind=kind,
        name=section.name,
        patient=section.patient,
        mpp=float(section.mpp),
        spot_um=float(section.spot_um),
        pitch_um=section.pitch_um,
        cells=section.pitch_um is None or None,
    )
    library = library_key(section.name)
    spatial = table.uns.get("spatial")
    found = spatial.get(library) if isinstance(spatial, Mapping) else None
    entry = found if isinstance(found, Mapping) else {}
    kept = {name: dict(entry.get(name, {})) for name in ("images", "scalefactors", "metadata")}
    kept["scalefactors"]["spot_diameter_fullres"] = float(section.spot_um / section.mpp)
    table.uns["spatial"] = {library: kept}


def library_key(name: str) -> str:
    """A section's name as a key of `uns["spatial"]`: HDF5 takes a slash for a group."""
    return name.replace("/", "_") or "section"


def section_name(path: Path) -> str:
    """A section's name from its file or folder: no endings, and not Space Ranger's own folders."""
    resolved = path.resolve()
    if resolved.is_dir():
        return run_folder(resolved).name.removesuffix(".zarr")
    return resolved.name.split(".")[0]
