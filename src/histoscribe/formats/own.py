"""Our own formats: how each is told by its content, and which room opens it."""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from histoscribe.formats.glimpse import Glimpse, glimpse, names_in
from histoscribe.formats.model import Format

_LOOKED_AT = 50
_MANY_GENES, _LONGEST_GENE = 1000, 100


@dataclass(frozen=True)
class Late:
    """A function of one of our rooms, imported when it is called."""

    room: str
    """`module:name` within this package."""

    def __call__(self, *given: Any, **options: Any) -> Any:
        """Import the room and call its function."""
        module, _, names = self.room.partition(":")
        found = attrgetter(names)(import_module(f"histoscribe.{module}"))
        return found(*given, **options)


_SPATIAL_DATA = Late("section.readers.spatial_data:open_spatial_data")
_SPACE_RANGER = Late("section.readers.spaceranger:open_space_ranger")
_FEATURE_SLICE = Late("section.readers.feature_slice:open_feature_slice")
_H5AD = Late("section.readers.h5ad:open_h5ad")
_MATRIX = Late("section.cohort:refuse_matrix")
_OPENSLIDE = Late("slide.openslide.backend:read")

_TIFF = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_JPEG, _PNG, _GZIP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\x1f\x8b"
_DICOM, _CZI, _SQLITE = b"DICM", b"ZISRAWFILE", b"SQLite format 3\0"
_VMS = "[Virtual Microscope Specimen]"
_MIRAX_INDEX = "Slidedat.ini"
_ZARR = frozenset({"zarr.json", ".zattrs", ".zgroup", ".zmetadata"})
_MATRICES = ("*feature_bc_matrix*", "*raw_probe_bc_matrix*", "*feature_slice.h5", "square_???um")
_RUN_PARTS = frozenset({"binned_outputs", "segmented_outputs"})
_CELLS = frozenset({"cell_segmentations.geojson", "filtered_feature_cell_matrix.h5"})
_POSITIONS = frozenset(
    {
        "obsm/spatial",
        "obsm/x_spatial",
        "obsm/spatialcoords",
        "uns/spatial",
        "obs/array_row",
        "obs/pxl_col_in_fullres",
        "obs/pixel_x",
        "obs/x_centroid",
        "obs/center_x",
        "obs/imagecol",
        "obs/centerx_global_px",
        "obs/centerx_global_mm",
        "obs/x_slide_mm",
    }
)
_SPATIAL = ("*tissue_positions*", "*scalefactors_json.json*")
_COHORT = frozenset({"section", "patient", "path", "positions", "slide", "pitch_um", "spot_um"})
_HEST = frozenset({"dataset_title", "id", "st_technology"})
_GEOJSON = re.compile(r'"(FeatureCollection|Feature|features|geometry|coordinates)"')
_SESSION, _SESSION_NAME = '"histoscribe session"', "*.histoscribe.json"
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|NA|NaN", re.IGNORECASE)


def _is_dicom(head: bytes) -> bool:
    return head[128:132] == _DICOM


def _is_url(seen: Glimpse) -> bool:
    return bool(seen.url)


def _is_ome_zarr(seen: Glimpse) -> bool:
    return bool(seen.names & (_ZARR | {".zarray"})) and "tables" not in seen.names


def _is_spatial_data(seen: Glimpse) -> bool:
    return bool(seen.names & _ZARR) and "tables" in seen.names


def _is_scanner_folder(seen: Glimpse) -> bool:
    """Most files of a folder are DICOM, or it is MIRAX's beside its `.mrxs`."""
    if not seen.is_folder:
        return False
    if _MIRAX_INDEX in seen.names:
        return seen.path.with_name(f"{seen.path.name}.mrxs").is_file()
    files = [seen.path / name for name in sorted(seen.names)[:_LOOKED_AT]]
    heads = [_first_bytes(file) for file in files if file.is_file()]
    return 2 * sum(_is_dicom(head) for head in heads) >= max(len(heads), 1)


def _first_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(132)
    except OSError:
        return b""


def _is_scanner_file(seen: Glimpse) -> bool:
    """DICOM, CZI, VMS or MIRAX; a TIFF whose tiles only OpenSlide knows how to place."""
    head, path = seen.head, seen.path
    if _is_dicom(head) or head.startswith(_CZI) or _VMS in seen.text:
        return True
    if head.startswith(_JPEG):
        return path.suffix.lower() == ".mrxs" or (path.with_suffix("") / _MIRAX_INDEX).is_file()
    return head.startswith(_TIFF) and bool(Late("slide.openslide.backend:is_foreign_tiff")(path))


def _is_tiff(seen: Glimpse) -> bool:
    return seen.head.startswith(_TIFF)


def _is_picture(seen: Glimpse) -> bool:
    return seen.head.startswith((_JPEG, _PNG))


def _is_known_to_openslide(seen: Glimpse) -> bool:
    """Any other binary file that OpenSlide takes for a slide."""
    known = (*_TIFF, _JPEG, _PNG, _GZIP, b"\x89HDF", b"PK")
    if not seen.head or seen.text or seen.head.startswith(known):
        return False
    return bool(Late("slide.openslide.backend:is_known_to_openslide")(seen.path))


def _is_space_ranger(seen: Glimpse) -> bool:
    """A run, its `outs`, one part of it, its bins, or its `spatial` folder."""
    if not seen.is_folder:
        return False
    if seen.path.name == "spatial" and seen.named(*_SPATIAL):
        return True
    for names, spatial in (
        (seen.names, seen.below("spatial")),
        (seen.below("outs"), names_in(seen.path / "outs" / "spatial")),
    ):
        if names & (_RUN_PARTS | _CELLS) or seen.named(*_MATRICES, _SPATIAL[0], within=names):
            return True
        if seen.named(*_SPATIAL, within=spatial):
            return True
    return False


def _is_xenium(seen: Glimpse) -> bool:
    """An output folder of Xenium, or its manifest."""
    held = seen.named("cells.parquet", "cells.csv*") and seen.named("cell_feature_matrix*")
    return held or seen.path.name == "experiment.xenium"


def _is_feature_slice(seen: Glimpse) -> bool:
    return "feature_slices" in (seen.hdf5 or ())


def _is_tenx_matrix(seen: Glimpse) -> bool:
    return seen.hdf5 is not None and "matrix" in seen.hdf5 and "obs" not in seen.hdf5


def _is_h5ad(seen: Glimpse) -> bool:
    """An h5ad file with positions, and any damaged HDF5 file, of which its reader says what is wrong."""
    held = {name.lower() for name in seen.hdf5 or ()}
    return seen.hdf5 is None or bool(held & _POSITIONS) or {"obs/x", "obs/y"} <= held


def _is_archived(seen: Glimpse) -> bool:
    """`st/ID.h5ad` of an archive in HEST's layout."""
    place = seen.path.absolute().parent
    return place.name == "st" and bool(seen.hdf5) and _is_h5ad(seen) and _is_archive(glimpse(place.parent))


def _is_archive(seen: Glimpse) -> bool:
    """A folder in HEST's layout: tables of spots beside slides or what is known of them."""
    return seen.is_folder and "st" in seen.names and bool(seen.names & {"wsis", "metadata"})


def _is_table_h5ad(seen: Glimpse) -> bool:
    return seen.hdf5 is not None and {"obs", "var"} <= seen.hdf5 and not _is_h5ad(seen)


def _is_cohort(seen: Glimpse) -> bool:
    header = {cell.strip(' "\r').lower() for cell in re.split("[,;\t]", seen.text.split("\n", 1)[0])}
    return {"section", "path"} <= header or len(header & _COHORT) >= 3 or header >= _HEST


def _is_table(seen: Glimpse) -> bool:
    """Lines of cells with numbers among them; no cohort, and none of napari's own tables of layers."""
    if seen.text.startswith(("#1.", "!Series_")):
        return True  # GCT, or a series matrix of GEO
    lines = [line for line in seen.text.splitlines()[:50] if line.strip() and not line.startswith("#")]
    gene_sets = seen.path.suffix.lower() == ".gmt"
    if not lines or gene_sets or _is_cohort(seen) or "axis-0" in lines[0] or _is_json(seen):
        return False
    if len(lines) == 1:  # a header of so many genes that no other line was seen
        names = lines[0].split(max("\t,;", key=lines[0].count))
        return len(names) >= _MANY_GENES and max(map(len, names)) < _LONGEST_GENE
    separator = max("\t,;", key=lines[0].count)
    cells = [line.split(separator) for line in lines[:3]]  # the second of a Firehose table are words
    numbers = sum(bool(_NUMBER.fullmatch(cell.strip(' "'))) for line in cells[1:] for cell in line[1:])
    return min(len(line) for line in cells) >= 2 and numbers > 0


def _is_json(seen: Glimpse) -> bool:
    return seen.text.lstrip().startswith(("{", "["))


def _is_session(seen: Glimpse) -> bool:
    """A session, or what its name says is one: its reader says best what is wrong with it."""
    named = bool(seen.head) and fnmatch(seen.path.name, _SESSION_NAME)
    return named or (_is_json(seen) and _SESSION in seen.text[:200])


def _is_regions(seen: Glimpse) -> bool:
    return _is_json(seen) and not _is_session(seen) and _GEOJSON.search(seen.text) is not None


def _is_model(seen: Glimpse) -> bool:
    return "card.json" in seen.names


def _open_model(path: Path) -> Any:
    """Load a model's folder as what its card says it is."""
    card = Late("models:read_card")(path)
    return Late(f"{card.kind}:{card.kind.capitalize()}.load")(path)


_FOLDER, _ADDRESS = ("*/",), ("*://*.zarr", "*://*.zarr/")
_SCANNER_FILES = ("*.ndpi", "*.mrxs", "*.bif", "*.vms", "*.czi", "*.dcm")
_TIFF_FILES = ("*.svs", "*.scn", "*.qptiff", "*.tif", "*.tiff", "*.btf", "*.tf8", "*.tf2")
_TABLE_FILES = ("*.csv", "*.tsv", "*.gct", "*.csv.gz", "*.tsv.gz", "*.gct.gz")
OWN: tuple[Format, ...] = (
    Format("model", "a model's folder", _is_model, _open_model, _FOLDER),
    Format("section", "a SpatialData folder", _is_spatial_data, _SPATIAL_DATA, _FOLDER),
    Format("section", "a Space Ranger folder", _is_space_ranger, _SPACE_RANGER, _FOLDER),
    Format("section", "a Xenium folder", _is_xenium, Late("section.readers.cells:open_xenium"), _FOLDER),
    Format("section", "a feature_slice.h5", _is_feature_slice, _FEATURE_SLICE, ("*feature_slice.h5",)),
    Format("section", "a section of HEST-1k", _is_archived, Late("section.readers.hest:open_hest")),
    Format("section", "an h5ad file with positions", _is_h5ad, _H5AD, ("*.h5ad",)),
    Format("section", "a matrix of counts without positions", _is_tenx_matrix, _MATRIX),
    Format("slide", "an OME-Zarr image behind a URL", _is_url, Late("slide.zarr.backend:read_url"), _ADDRESS),
    Format("slide", "an OME-Zarr image", _is_ome_zarr, Late("slide.zarr.backend:read"), _FOLDER),
    Format("slide", "a DICOM or MIRAX folder", _is_scanner_folder, _OPENSLIDE, _FOLDER),
    Format("slide", "a scanner's file", _is_scanner_file, _OPENSLIDE, _SCANNER_FILES),
    Format("slide", "a TIFF", _is_tiff, Late("slide.tiff.backend:read"), _TIFF_FILES),
    Format("slide", "a JPEG or PNG", _is_picture, Late("slide.image:read")),
    Format("slide", "a file that OpenSlide knows", _is_known_to_openslide, _OPENSLIDE, ("*.svslide",)),
    Format("cohort", "a cohort CSV", _is_cohort, Late("section:read_cohort"), ("*.csv",)),
    Format("cohort", "a folder in HEST-1k's layout", _is_archive, Late("section:read_cohort"), _FOLDER),
    Format("table", "an h5ad file without positions", _is_table_h5ad, Late("bulk:read_table"), ("*.h5ad",)),
    Format("table", "a table of text", _is_table, Late("bulk:read_table"), _TABLE_FILES),
    Format("session", "a session", _is_session, Late("widgets.session.file:read_content"), (_SESSION_NAME,)),
    Format("regions", "GeoJSON", _is_regions, Late("tiles:read_regions"), ("*.geojson", "*.json")),
)
"""Our own, each asked in this order; the first of a kind opens it."""
