"""Sections from h5ad files in squidpy's convention: our own, and foreign ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SectionError, SlideError
from histoscribe.section.alignment import check_alignment, opened, rebased
from histoscribe.section.bounded import opened_hdf5
from histoscribe.section.coordinates import flip
from histoscribe.section.describe import described, finished, kind_of, section_name
from histoscribe.section.lattice import Spacing, free_spacing, visium_spacing
from histoscribe.section.model import Section
from histoscribe.section.table import count_problems, examples, repeated, unique_genes
from histoscribe.slide import Level, Slide

if TYPE_CHECKING:
    from anndata import AnnData

PITCH_UM = 100.0
SPOT_UM = 55.0
SMALLEST_IMAGE = 100
"""A smaller image tells the size of the full one too coarsely to check a slide by it."""
_IMAGES = (("hires", "tissue_hires_scalef"), ("lowres", "tissue_lowres_scalef"))


def open_h5ad(
    path: Path,
    *,
    slide: Slide | str | Path | None = None,
    patient: str | None = None,
    name: str | None = None,
    pitch_um: float | None = None,
    spot_um: float | None = None,
) -> Section:
    """Open one section from an h5ad file.

    Parameters
    ----------
    path : Path
        Holds `obsm["spatial"]` as (x, y) in full-resolution pixels; `uns["spatial"]` where squidpy
        or scanpy wrote it, `uns["histoscribe"]` where we did.
    slide : Slide or path, optional
        The full-resolution image. Without it the slide that our own file names is opened if it
        lies in the file's folder or below, else the image that the file holds.
    patient, name : str, optional
        What the file says where not given, else its name.
    pitch_um, spot_um : float, optional
        What the file says where not given, else Visium's 100 and 55 µm.

    Raises
    ------
    SectionError
        If it is damaged, reaches into other files, or is not one section.
    """
    table = _read_table(path)
    own, kind = described(table), kind_of(table)
    library, entry = _library(table, path)
    title = name or _text(own, "name") or library or section_name(path)
    centres = _centres(table, path)
    table, warnings = _checked(table, centres, kind == "predicted", path)
    centres = flip(table.obsm["spatial"])
    spacing = _spacing(own, table, centres, pitch_um, path)
    stored = own.get("warnings", ())
    warnings = [
        *(str(each) for each in np.atleast_1d(np.asarray(stored, dtype=object))),
        *warnings,
        *spacing.warnings,
    ]

    scale = _scale(entry, path)
    expected = None
    if scale is not None and min(scale[0].shape[:2]) >= SMALLEST_IMAGE:
        expected = (scale[0].shape[0] / scale[1], scale[0].shape[1] / scale[1])
    mpp = spacing.mpp
    if slide is not None:
        beneath: Slide | None = opened(slide)
    else:
        beneath, doubts = _named_slide(own, path)
        warnings += doubts
        if beneath is None and scale is not None:
            beneath = _held_image(*scale, path)
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
        kind=kind,
        name=title,
        patient=patient or _text(own, "patient"),
        slide=beneath,
        mpp=mpp,
        spot_um=spot_um or _number(own, "spot_um", path) or SPOT_UM,
        pitch_um=spacing.pitch_um,
        warnings=tuple(warnings),
    )


def _read_table(path: Path) -> AnnData:
    import anndata

    with opened_hdf5(path) as file:
        missing = [part for part in ("obs", "var", "X") if part not in file]
    if missing:
        raise SectionError(
            f"this HDF5 file has no {', '.join(missing)}",
            where=path,
            remedy="name an h5ad file or a Space Ranger folder",
        )
    try:
        return anndata.read_h5ad(path)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SectionError(
            f"not a whole h5ad file ({reason})", where=path, remedy="write it again with a current anndata"
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
        on_tissue = table.obs["in_tissue"].astype(float).to_numpy() == 1
        table = table if on_tissue.all() else table[on_tissue].copy()
    table.obs["in_tissue"] = True
    if 0 in table.shape:
        raise SectionError(
            f"the section is empty ({table.n_obs} spots, {table.n_vars} genes)",
            where=path,
            remedy="name a section with spots on tissue",
        )
    if predicted:
        errors, _ = count_problems(np.zeros(0) if table.X is None else np.abs(_values(table.X)))
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
    own: Mapping[str, Any], table: AnnData, centres: NDArray[np.float64], pitch_um: float | None, path: Path
) -> Spacing:
    mpp, pitch = _number(own, "mpp", path), pitch_um or _number(own, "pitch_um", path)
    if mpp is not None and pitch is not None:
        return Spacing(mpp, pitch)
    spacing = None
    if {"array_row", "array_col"} <= set(table.obs.columns):
        array = table.obs[["array_row", "array_col"]].to_numpy(dtype=np.float64)
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


def _scale(entry: Mapping[str, Any], path: Path) -> tuple[NDArray[Any], float] | None:
    """The image that the file holds and its pixels per full-resolution pixel."""
    images, scales = entry.get("images", {}), entry.get("scalefactors", {})
    if not isinstance(images, Mapping) or not isinstance(scales, Mapping):
        return None
    for kind, key in _IMAGES:
        image = np.asarray(images[kind]) if kind in images else None
        scale = _number(scales, key, path)
        if (
            scale
            and image is not None
            and image.ndim == 3
            and image.shape[2] in (3, 4)
            and image.dtype.kind in "uf"
        ):
            return image, scale
    return None


def _held_image(image: NDArray[Any], scale: float, path: Path) -> Slide:
    import zarr

    pixels = np.clip(image[..., :3] * 255.0, 0, 255).round() if image.dtype.kind == "f" else image[..., :3]
    rows, columns, _ = pixels.shape
    chunks = (min(rows, 512), min(columns, 512), 3)
    array: Any = zarr.create_array(store={}, data=np.ascontiguousarray(pixels, dtype=np.uint8), chunks=chunks)
    return Slide(path=path, levels=(Level(array, 1 / scale),), vendor="image in the h5ad file")


def _named_slide(own: Mapping[str, Any], path: Path) -> tuple[Slide | None, list[str]]:
    """The slide that our own file names, if it lies in the file's folder or below."""
    named = _text(own, "slide")
    if named is None:
        return None, []
    folder = path.resolve().parent
    target = (folder / named).resolve()
    if not target.is_relative_to(folder):
        return None, [
            f"its slide {named} lies outside the file's folder and was not opened: name it yourself"
        ]
    if target == path.resolve() or not target.exists():
        return None, [f"its slide {named} is no longer there"]
    try:
        slide = opened(target)
    except SlideError as error:
        return None, [f"its slide {named} cannot be read ({error.problem})"]
    downsample = _number(own, "slide_downsample", path) or 1.0
    return (slide if downsample == 1.0 else rebased(slide, downsample)), []


def _text(mapping: Mapping[str, Any], key: str) -> str | None:
    value = mapping.get(key)
    return str(value) if isinstance(value, str) and value else None


def _number(mapping: Mapping[str, Any], key: str, path: Path) -> float | None:
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
