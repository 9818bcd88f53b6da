"""From a table that describes its section, ours or squidpy's, to the section."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SectionError
from histoscribe.record import Record, record_of
from histoscribe.section.alignment import check_alignment, opened
from histoscribe.section.coordinates import flip
from histoscribe.section.describe import finished, section_name
from histoscribe.section.lattice import Spacing, free_spacing, visium_spacing
from histoscribe.section.model import Section
from histoscribe.section.readers.held_images import held_image, named_slide
from histoscribe.section.table import count_problems, examples, repeated, unique_genes
from histoscribe.slide import Slide

if TYPE_CHECKING:
    from anndata import AnnData

PITCH_UM = 100.0
SPOT_UM = 55.0
SMALLEST_IMAGE = 100
"""A smaller image tells the size of the full one too coarsely to check a slide by it."""


def section_of_table(
    table: AnnData,
    path: Path,
    *,
    slide: Slide | str | Path | None = None,
    patient: str | None = None,
    name: str | None = None,
    pitch_um: float | None = None,
    spot_um: float | None = None,
    mpp: float | None = None,
    image: Slide | None = None,
    doubts: tuple[str, ...] = (),
) -> Section:
    """Make the section of a table that was read from a file.

    Parameters
    ----------
    table : AnnData
        Spots by genes with `obsm["spatial"]`; changed in place.
    path : Path
        The file or folder that it came from.
    slide : Slide or path, optional
        The full-resolution image. Without it the slide that our own file names is opened if it
        lies in the file's folder or below, else `image`, else the image that the table holds.
    patient, name : str, optional
        What the table says where not given, else the file's name.
    pitch_um, spot_um, mpp : float, optional
        What the table says where not given, else Visium's 100 and 55 µm, and what the lattice says.
    image : Slide, optional
        A reduced image that lies beside the table, in full-resolution pixels.
    doubts : tuple of str
        Everything doubtful that the reader found.

    Raises
    ------
    SectionError
        If positions or values cannot be used, or the slide does not fit.
    """
    _check_sparse(table, path)
    own = _record(table, path)
    library, entry = _library(table, path)
    title = name or own.name or library or section_name(path)
    centres = _centres(table, path)
    table, warnings = _checked(table, centres, not own.measured, path)
    centres = flip(table.obsm["spatial"])
    spacing = _spacing(own, table, centres, pitch_um, mpp, path)
    warnings = [
        *own.warnings,
        *doubts,
        *warnings,
        *spacing.warnings,
    ]

    held = image if image is not None else held_image(entry, path)
    expected = None
    if held is not None and min(held.levels[0].shape) >= SMALLEST_IMAGE:
        expected = held.shape
    mpp = spacing.mpp
    if slide is not None:
        beneath: Slide | None = opened(slide)
    else:
        beneath, lost = named_slide(own.slide, path)
        warnings += lost
        beneath = held if beneath is None else beneath
    alignment = None
    if beneath is not None:
        alignment = check_alignment(centres, beneath, mpp=mpp, expected=expected)
        if alignment.factor != 1.0:
            table.obsm["spatial"] = np.asarray(table.obsm["spatial"], dtype=np.float64) * alignment.factor
            mpp /= alignment.factor
            table.uns.pop("spatial", None)
        beneath = beneath.with_mpp(mpp)
        warnings += alignment.warnings
    return finished(
        table,
        kind=own.kind or "measured",
        name=title,
        patient=patient or own.patient,
        slide=beneath,
        mpp=mpp,
        spot_um=spot_um or own.spot_um or SPOT_UM,
        pitch_um=spacing.pitch_um,
        warnings=tuple(warnings),
        alignment=alignment,
    )


def _record(table: AnnData, path: Path) -> Record:
    try:
        return record_of(table)
    except SectionError as error:
        raise SectionError(error.problem, where=path, remedy=error.remedy) from error


def _check_sparse(table: AnnData, path: Path) -> None:
    """Refuse sparse matrices whose indices reach beyond their shape: using one reads foreign memory."""
    held = {"X": table.X, **table.layers, **table.obsm, **table.varm, **table.obsp, **table.varp}
    if table.raw is not None:
        held["raw"] = table.raw.X
    for name, matrix in held.items():
        if hasattr(matrix, "check_format"):
            try:
                matrix.check_format(full_check=True)
            except (TypeError, ValueError) as error:
                raise SectionError(
                    f"the indices of {name} reach beyond its shape or do not rise ({error})",
                    where=path,
                    remedy="write it again",
                ) from error


def _library(table: AnnData, path: Path) -> tuple[str | None, Mapping[str, Any]]:
    spatial = table.uns.get("spatial")
    if not isinstance(spatial, Mapping) or not spatial:
        return None, {}
    if len(spatial) > 1:
        raise SectionError(
            f"holds {len(spatial)} sections ({examples(sorted(spatial))})",
            where=path,
            remedy="write each of them into a file of its own",
        )
    library, entry = next(iter(spatial.items()))
    return str(library), entry if isinstance(entry, Mapping) else {}


def _centres(table: AnnData, path: Path) -> NDArray[np.float64]:
    if "spatial" not in table.obsm:
        raise SectionError(
            'the spots have no positions: there is no obsm["spatial"]',
            where=path,
            remedy="write it with squidpy, or open the Space Ranger folder",
        )
    spatial = np.asarray(table.obsm["spatial"])
    if spatial.ndim != 2 or spatial.shape[1] < 2 or spatial.dtype.kind not in "iuf":
        raise SectionError(
            f'obsm["spatial"] is {spatial.shape} {spatial.dtype}, not spots × (x, y) in pixels', where=path
        )
    return flip(spatial[:, :2])


def _checked(
    table: AnnData, centres: NDArray[np.float64], predicted: bool, path: Path
) -> tuple[AnnData, list[str]]:
    """Keep spots on tissue, check the values, and make measured counts CSR float32."""
    from scipy.sparse import csr_matrix, issparse

    warnings: list[str] = []
    if twice := repeated([str(name) for name in table.obs_names]):
        raise SectionError(
            f"spots named twice: {examples(twice)}", where=path, remedy="make obs_names unique"
        )
    if not np.isfinite(centres).all():
        raise SectionError('obsm["spatial"] holds missing values', where=path)
    table.obsm["spatial"] = flip(centres)
    if "in_tissue" in table.obs:
        try:
            on_tissue = table.obs["in_tissue"].astype(float).to_numpy() == 1
        except (TypeError, ValueError) as error:
            raise SectionError(
                f'obs["in_tissue"] holds something other than 0 and 1 ({error})', where=path
            ) from error
        table = table if on_tissue.all() else table[on_tissue].copy()
    table.obs["in_tissue"] = True
    if 0 in table.shape:
        raise SectionError(
            f"the section is empty ({table.n_obs} spots, {table.n_vars} genes)",
            where=path,
            remedy="name a section with spots on tissue",
        )
    if predicted:
        values = np.zeros(0) if table.X is None else _values(table.X)
        errors, _ = count_problems(np.abs(values) if values.dtype.kind in "fiu" else values)
    else:
        errors, doubts = count_problems(table.X)
        if "counts" in table.layers and (errors or any("whole" in doubt for doubt in doubts)):
            errors, doubts = count_problems(table.layers["counts"])
            table.X = table.layers["counts"]
            warnings.append('X holds no raw counts; layers["counts"] was taken')
        warnings += doubts
    if errors:
        raise SectionError("; ".join(errors), where=path, remedy="give the raw counts")
    if not predicted:
        table.X = csr_matrix(table.X, dtype=np.float32)
    elif not issparse(table.X):
        table.X = np.asarray(table.X, dtype=np.float32)
    names, renamed = unique_genes([str(gene) for gene in table.var_names])
    if renamed:
        table.var_names = list(names)
    return table, [*warnings, *renamed]


def _values(matrix: Any) -> NDArray[Any]:
    return np.asarray(matrix.data if hasattr(matrix, "tocsr") else matrix)


def _spacing(
    own: Record,
    table: AnnData,
    centres: NDArray[np.float64],
    pitch_um: float | None,
    mpp: float | None,
    path: Path,
) -> Spacing:
    mpp, pitch = own.mpp or mpp, pitch_um or own.pitch_um
    if mpp is not None and pitch is not None:
        return Spacing(mpp, pitch)
    spacing = None
    if {"array_row", "array_col"} <= set(table.obs.columns):
        try:
            array = table.obs[["array_row", "array_col"]].to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise SectionError(f"array_row and array_col are no numbers ({error})", where=path) from error
        if np.isfinite(array).all():
            spacing = visium_spacing(array, centres, pitch or PITCH_UM)
    spacing = spacing or free_spacing(centres, pitch or PITCH_UM)
    if spacing is None:
        raise SectionError(
            "the µm per pixel cannot be told: fewer than two spots at different places", where=path
        )
    if pitch is not None:
        return spacing
    assumed = f"the file does not say how far apart spots are: Visium's {PITCH_UM:g} µm were assumed"
    return Spacing(spacing.mpp, spacing.pitch_um, (assumed, *spacing.warnings))
