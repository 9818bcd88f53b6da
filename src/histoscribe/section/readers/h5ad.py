"""Sections from h5ad files in squidpy's convention: our own, and foreign ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.errors import SectionError
from histoscribe.section.bounds.hdf5 import opened_hdf5
from histoscribe.section.model import Section
from histoscribe.section.readers.from_table import section_of_table
from histoscribe.slide import Slide

if TYPE_CHECKING:
    from anndata import AnnData


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
    return section_of_table(
        _read_table(path), path, slide=slide, patient=patient, name=name, pitch_um=pitch_um, spot_um=spot_um
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
