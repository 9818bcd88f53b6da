"""Opening a section by what lies at a path."""

from __future__ import annotations

from pathlib import Path

from histoscribe.errors import SectionError
from histoscribe.section.model import Section
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
    if not path.exists():
        raise SectionError("there is no such file or folder", where=path, remedy="check the path")
    if path.is_dir():
        from histoscribe.section.readers.spaceranger import looks_like_space_ranger, open_space_ranger
        from histoscribe.section.readers.spatial_data import looks_like_spatial_data, open_spatial_data

        if looks_like_spatial_data(path):
            return open_spatial_data(
                path,
                slide=slide,
                patient=patient,
                name=name,
                pitch_um=pitch_um,
                spot_um=spot_um,
                bin_um=bin_um,
            )
        if path.name == "spatial" and not looks_like_space_ranger(path):
            path = path.resolve().parent
        if not looks_like_space_ranger(path):
            raise SectionError(
                "this folder is no Space Ranger run: it has no spatial/ folder", where=path, remedy=_READABLE
            )
        return open_space_ranger(
            path, slide=slide, patient=patient, name=name, pitch_um=pitch_um, spot_um=spot_um, bin_um=bin_um
        )
    with open(path, "rb") as stream:
        start = stream.read(8)
    if start == b"\x89HDF\r\n\x1a\n" or path.suffix == ".h5ad":
        return _open_hdf5(path, slide, patient, name, pitch_um, spot_um, bin_um)
    from histoscribe.section.readers.legacy import looks_like_counts_table

    if looks_like_counts_table(path):
        raise SectionError(
            "this is a table of counts without positions",
            where=path,
            remedy="name its positions and slide in a cohort CSV (section,patient,path,positions,slide)",
        )
    raise SectionError("this is not a section in a known format", where=path, remedy=_READABLE)


def _open_hdf5(
    path: Path,
    slide: Slide | str | Path | None,
    patient: str | None,
    name: str | None,
    pitch_um: float | None,
    spot_um: float | None,
    bin_um: float | None,
) -> Section:
    from histoscribe.section.bounds.hdf5 import opened_hdf5
    from histoscribe.section.readers.h5ad import open_h5ad

    with opened_hdf5(path, whole=False) as file:
        parts = set(file)
    if "feature_slices" in parts:
        from histoscribe.section.readers.sliced import open_feature_slice

        return open_feature_slice(path, slide=slide, patient=patient, name=name, bin_um=bin_um)
    if "matrix" in parts and "obs" not in parts:
        raise SectionError(
            "this is a matrix of counts without positions",
            where=path,
            remedy="name the Space Ranger folder that it lies in, with its spatial/ folder",
        )
    return open_h5ad(path, slide=slide, patient=patient, name=name, pitch_um=pitch_um, spot_um=spot_um)
