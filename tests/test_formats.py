"""The table of formats: what a path is, by its content; doubt is said; other packages add to it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import given, strategies as st

import histoscribe
from histoscribe.errors import HistoscribeError
from histoscribe.formats import UnknownFormat, find, format_of, formats, kind_of
from histoscribe.formats.own import OWN, Late

COHORT = "section,patient,path\nS,P,run\n"
TABLE = "sample,EPCAM,ERBB2\ns1,1.5,2\ns2,0,3e2\n"
GEOJSON = '{"type": "FeatureCollection", "features": []}'
SESSION = '{"format": "histoscribe session", "version": 1}'
TIFF = b"II*\0" + bytes(60)
DICOM = bytes(128) + b"DICM" + bytes(200)


def write(path: Path, content: bytes | str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_hdf5(path: Path, *names: str) -> Path:
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = np.zeros(3)
    return path


FILES: dict[str, tuple[str, bytes | str]] = {
    "renamed.bin": ("slide", TIFF),
    "photo.svs": ("slide", b"\x89PNG\r\n\x1a\n" + bytes(20)),
    "scan": ("slide", DICOM),
    "zeiss.img": ("slide", b"ZISRAWFILE" + bytes(40)),
    "sections.txt": ("cohort", COHORT),
    "bom.csv": ("cohort", b"\xef\xbb\xbf" + COHORT.encode()),
    "wide.csv": ("cohort", "path,positions,section\na,b,c\n"),
    "bulk.csv": ("table", TABLE),
    "bulk.tsv.gz": ("table", gzip.compress(TABLE.replace(",", "\t").encode())),
    "german.csv": ("table", TABLE.replace(",", ";").replace(".", ",")),
    "utf16.txt": ("table", TABLE.encode("utf-16")),
    "latin.csv": ("table", ("Größe,A\nx,1\n").encode("latin-1")),
    "counts.txt": ("table", "# Program:featureCounts\nGeneid\tChr\tLength\ts1\nA\tchr1\t1000\t5\n"),
    "any.gct": ("table", "#1.3\n2\t1\t0\t0\nid\ts1\nA\t1\nB\t2\n"),
    "wide.tsv.gz": ("table", gzip.compress("\t".join(f"GENE{i:05d}" for i in range(20_000)).encode())),
    "legacy.tsv": ("table", "\tA\tB\n10x14\t1\t0\n"),
    "drawn.json": ("regions", GEOJSON),
    "qupath.txt": ("regions", f"[{GEOJSON}]"),
    "mine.json": ("session", SESSION),
    "cut.histoscribe.json": ("session", SESSION[:20]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_it_holds_not_what_it_is_called(name: str, tmp_path: Path) -> None:
    kind, content = FILES[name]
    assert kind_of(write(tmp_path / name, content)) == kind


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("obs", "var", "X", "obsm/spatial"), "section"),
        (("obs", "var", "X", "obsm/X_pca"), "table"),
        (("feature_slices/A", "metadata"), "section"),
        (("matrix/data", "matrix/indices"), "section"),
    ],
)
def test_an_hdf5_file_is_told_by_its_groups(names: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    assert kind_of(write_hdf5(tmp_path / "file", *names)) == kind


FOLDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "model": ("model", ("card.json", "weights.safetensors")),
    "run": ("section", ("spatial/tissue_positions.csv", "filtered_feature_bc_matrix.h5")),
    "unpositioned": ("section", ("spatial/scalefactors_json.json",)),
    "above": ("section", ("outs/spatial/tissue_positions_list.csv",)),
    "hd": ("section", ("outs/binned_outputs/square_008um/filtered_feature_bc_matrix.h5",)),
    "cells": ("section", ("cell_segmentations.geojson",)),
    "sliced": ("section", ("feature_slice.h5",)),
    "sliced-with-a-prefix": ("section", ("outs/P1_feature_slice.h5",)),
    "spatial": ("section", ("tissue_positions.csv", "scalefactors_json.json")),
    "spatial-data.zarr": ("section", ("zarr.json", "tables/zarr.json")),
    "spatial-data-without-ending": ("section", (".zgroup", "tables/.zgroup")),
    "slide.ome.zarr": ("slide", (".zattrs", "0/.zarray")),
    "pyramid": ("slide", ("zarr.json", "0/zarr.json")),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_what_lies_in_it(name: str, tmp_path: Path) -> None:
    kind, files = FOLDERS[name]
    for file in files:
        write(tmp_path / name / file, "x")
    assert kind_of(tmp_path / name) == kind
    assert kind_of((tmp_path / name).as_uri()) == kind


def test_scanners_folders_are_slides(tmp_path: Path) -> None:
    write(tmp_path / "dicom" / "a", DICOM)
    write(tmp_path / "dicom" / "README", "words")
    assert kind_of(tmp_path / "dicom") == "slide"
    write(tmp_path / "mirax" / "Slidedat.ini", "x")
    with pytest.raises(UnknownFormat):
        kind_of(tmp_path / "mirax")
    write(tmp_path / "mirax.mrxs", b"\xff\xd8\xff\xe0")
    assert kind_of(tmp_path / "mirax") == "slide"
    assert format_of(tmp_path / "mirax.mrxs").name == "a scanner's file"


def test_urls_are_slides_and_nothing_is_fetched_for_that() -> None:
    assert kind_of("https://example.invalid/a/slide.ome.zarr") == "slide"
    assert kind_of(Path("s3://example-invalid/slide.zarr")) == "slide"


def test_contradictions_are_refused_with_their_candidates(tmp_path: Path) -> None:
    write(tmp_path / "both" / "card.json", "{}")
    write(tmp_path / "both" / "spatial" / "tissue_positions.csv", "x")
    with pytest.raises(HistoscribeError, match=r"could be a section .* and a model"):
        kind_of(tmp_path / "both")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("broken.h5ad", b"not hdf5", "named like an h5ad file with positions or an h5ad file without"),
        ("words.svs", b"this is no slide", "named like a TIFF"),
        ("notes.md", b"just words\nand more", "not a file that is known"),
        ("empty.csv", b"", "empty"),
        ("napari-points.csv", b"index,axis-0,axis-1\n0,1.5,2\n", "named like"),
        ("labels.csv", b"patient,kind\np1,red\n", "named like a cohort CSV or a table of text"),
        ("sets.gmt", b"A\tna\tTP53\t1\n", "these are gene sets; name them with --sets"),
        ("settings.json", b'{"colour": "red"}', "named like GeoJSON"),
    ],
)
def test_what_is_not_known_says_what_was_expected(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    with pytest.raises(HistoscribeError, match=says):
        format_of(write(tmp_path / name, content))


def test_a_folder_of_known_things_names_them(tmp_path: Path) -> None:
    write(tmp_path / "a.svs", TIFF)
    write(tmp_path / "b.csv", COHORT)
    write(tmp_path / "notes.txt", "words")
    with pytest.raises(UnknownFormat, match=r"it holds a\.svs \(a slide\), b\.csv \(a cohort\); name one"):
        format_of(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownFormat, match="nothing that is known"):
        format_of(tmp_path / "empty")
    with pytest.raises(HistoscribeError, match="no such file"):
        format_of(tmp_path / "gone")


@given(st.binary(max_size=600))
def test_any_content_is_decided_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, head: bytes
) -> None:
    path = write(tmp_path_factory.mktemp("any", numbered=True) / "file.csv", head)
    found, where = None, ""
    try:
        found = format_of(path)
    except HistoscribeError as error:
        where = error.where
    assert found in formats() or where == str(path)


def test_a_link_out_of_an_hdf5_file_is_not_followed(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "other.h5", "obsm/spatial")
    with h5py.File(tmp_path / "file.h5ad", "w") as file:
        file["obs"], file["var"] = np.zeros(1), np.zeros(1)
        file["obsm"] = h5py.ExternalLink("other.h5", "/obsm")
    assert kind_of(tmp_path / "file.h5ad") == "table"


def test_sniffing_is_quick_and_imports_nothing_heavy(tmp_path: Path) -> None:
    for name, (_, content) in FILES.items():
        write(tmp_path / name, content)
    tifffile.imwrite(tmp_path / "real.tif", np.zeros((300, 300, 3), np.uint8), photometric="rgb")
    write_hdf5(tmp_path / "placed.h5ad", "obs", "var", "obsm/spatial")
    script = f"""
import sys
from pathlib import Path
from histoscribe.formats import format_of
for path in Path({str(tmp_path)!r}).iterdir():
    format_of(path)
heavy = {{"torch", "anndata", "pandas", "zarr", "scanpy", "spatialdata", "napari", "dask", "scipy"}}
print(sorted(heavy & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_room_that_the_table_names_is_there() -> None:
    for one in OWN:
        if isinstance(one.open, Late):
            module, _, names = one.open.room.partition(":")
            assert callable(attrgetter(names)(import_module(f"histoscribe.{module}"))), one


def test_the_viewers_manifest_asks_for_what_the_table_names() -> None:
    manifest = Path(histoscribe.__file__).with_name("napari.yaml")
    (reader,) = yaml.safe_load(manifest.read_text(encoding="utf-8"))["contributions"]["readers"]
    patterns = {pattern for one in OWN for pattern in one.patterns}
    assert reader["accepts_directories"] is ("*/" in patterns)
    assert set(reader["filename_patterns"]) == patterns - {"*/"}
    assert {one.kind for one in OWN if one.patterns} == {one.kind for one in OWN}


@pytest.fixture
def flat(foreign_package: Path, tmp_path: Path) -> Path:
    """A slide in the foreign package's format."""
    pixels = np.full((60, 80, 3), 200, np.uint8)
    return import_module("histoscribe_foreign.flat_slide").write(tmp_path / "slide.flat", pixels, 0.5)


def test_another_package_adds_a_format(flat: Path) -> None:
    from histoscribe.slide import open_slide

    assert format_of(flat).name == "a flat slide"
    slide = open_slide(flat)
    assert (slide.shape, slide.mpp, slide.vendor) == ((60, 80), 0.5, "flat")
    again = histoscribe.formats.open(flat, mpp=0.25)
    assert again.mpp == 0.25
    assert (again.levels[0].pixels[:] == 200).all()


def test_without_that_package_the_format_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat):
        format_of(write(tmp_path / "slide.flat", b"flat slide 2 2 0.5\n" + bytes(12)))


def test_a_package_that_cannot_be_used_is_left_out_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entries = "[histoscribe.formats]\nmissing = nowhere_at_all:FORMAT\nnone = json:loads\n"
    write(tmp_path / "bad-1.dist-info" / "entry_points.txt", entries)
    write(tmp_path / "bad-1.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: bad\nVersion: 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert kind_of(write(tmp_path / "cohort.csv", COHORT)) == "cohort"
    assert [record.args[0] for record in caplog.records] == ["nowhere_at_all:FORMAT", "json:loads"]


def test_one_kind_can_be_asked_for_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", COHORT)
    assert find(path, "slide") is None
    known = find(path, "cohort")
    assert known is not None
    assert known.name == "a cohort CSV"


def test_what_is_written_by_one_name_is_what_its_ending_says(tmp_path: Path) -> None:
    from histoscribe.simulate import simulate_section

    section = simulate_section(0, genes=20, size_um=700.0)
    read = histoscribe.open(histoscribe.write(section, tmp_path / "section.h5ad"))
    assert read.name == section.name
    assert (read.table.X != section.table.X).nnz == 0
    assert section.slide is not None
    written = histoscribe.write(section.slide, tmp_path / "slide.ome.tif")
    assert np.array_equal(histoscribe.open(written).levels[0].pixels[:], section.slide.levels[0].pixels[:])
    for what, name in ((section, "section.ome.tif"), (section.slide, "slide.h5ad"), (section, "section")):
        with pytest.raises(histoscribe.SettingError, match="cannot be written as"):
            histoscribe.write(what, tmp_path / name)


def test_everything_opens_by_one_name(tmp_path: Path) -> None:
    opened: Callable = histoscribe.formats.open
    square = [[0, 0], [0, 5], [5, 5], [0, 0]]
    feature = f'{{"type": "Polygon", "coordinates": [{square}]}}'
    assert len(opened(write(tmp_path / "a.geojson", feature))) == 1
    assert opened(write(tmp_path / "bulk.csv", TABLE)).table.shape == (2, 2)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "s.h5ad.gz",
            gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(600), mtime=0),
            "a gzipped HDF5 file; unpack it",
        ),
        (
            "s.xlsx",
            b"PK\x03\x04" + bytes(600),
            "a zip archive or a spreadsheet; unpack it, or save the sheet",
        ),
        (
            "s.rds",
            gzip.compress(b"X\n\0\0\0\3" + bytes(600), mtime=0),
            "an object of R; write it from R as h5ad",
        ),
        (
            "s.tar.gz",
            gzip.compress(bytes(257) + b"ustar" + bytes(600), mtime=0),
            "a tar archive; unpack it first",
        ),
    ],
)
def test_what_is_packed_says_how_to_unpack_it(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match=words):
        kind_of(write(tmp_path / name, content))
