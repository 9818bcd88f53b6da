"""Readers: quick, sure of their own, silent about everything else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from histoscribe.section import Section
from histoscribe.widgets.contributions.readers import (
    folder_reader,
    open_any,
    read,
    slide_reader,
    table_reader,
)


@pytest.fixture
def tiled(tmp_path: Path) -> Path:
    path = tmp_path / "tiled.tif"
    pixels = np.full((2304, 2048, 3), 230, np.uint8)
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, tile=(256, 256), photometric="rgb", compression="jpeg", subifds=1)
        tiff.write(pixels[::4, ::4], tile=(256, 256), photometric="rgb", compression="jpeg", subfiletype=1)
    return path


def test_a_large_tiled_rgb_tiff_is_offered(tiled: Path) -> None:
    assert slide_reader(str(tiled)) is read
    assert slide_reader([str(tiled)]) is read


def test_other_tiffs_are_left_to_others(tmp_path: Path) -> None:
    small, grey, striped, broken = (
        tmp_path / f"{name}.tif" for name in ("small", "grey", "striped", "broken")
    )
    tifffile.imwrite(small, np.zeros((512, 512, 3), np.uint8), tile=(256, 256), photometric="rgb")
    tifffile.imwrite(grey, np.zeros((2304, 2048), np.uint16), tile=(256, 256))
    tifffile.imwrite(striped, np.zeros((2304, 2048, 3), np.uint8), photometric="rgb")
    broken.write_bytes(b"II*\0\xff\xff\xff\xff")
    for path in (small, grey, striped, broken, tmp_path / "absent.svs", tmp_path):
        assert slide_reader(str(path)) is None, path


def test_a_stack_of_files_is_left_to_others(tiled: Path) -> None:
    assert slide_reader([str(tiled), str(tiled)]) is None


def test_folders_that_are_not_space_ranger_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert folder_reader(str(tmp_path)) is None
    (tmp_path / "outs" / "spatial").mkdir(parents=True)
    assert folder_reader(str(tmp_path)) is None
    (tmp_path / "outs" / "spatial" / "tissue_positions.csv").touch()
    assert folder_reader(str(tmp_path)) is read


def test_h5ad_without_positions_is_left_to_others(tmp_path: Path) -> None:
    plain, placed, broken = (tmp_path / f"{name}.h5ad" for name in ("plain", "placed", "broken"))
    with h5py.File(plain, "w") as content:
        content.create_group("obsm")
    with h5py.File(placed, "w") as content:
        content["obsm/spatial"] = np.zeros((3, 2))
    broken.write_bytes(b"not hdf5")
    assert table_reader(str(placed)) is read
    for path in (plain, broken, tmp_path / "absent.h5ad"):
        assert table_reader(str(path)) is None


def test_deciding_takes_no_time(tiled: Path) -> None:
    slide_reader(str(tiled))
    start = time.process_time()
    slide_reader(str(tiled))
    assert time.process_time() - start < 0.05


def test_a_slide_is_read_as_one_multiscale_layer(tiled: Path) -> None:
    ((pixels, described, kind),) = read(str(tiled))
    assert kind == "image"
    assert described["metadata"]["slide"].path == tiled
    assert pixels[0].shape == (2304, 2048, 3)


def test_an_h5ad_round_trip_is_read_as_spots(make_section: Callable[..., Section], tmp_path: Path) -> None:
    from histoscribe.section import write_section

    section = make_section()
    path = tmp_path / "A1.h5ad"
    write_section(section, path)
    opened = open_any(path)
    assert isinstance(opened, Section)
    np.testing.assert_allclose(opened.centres_um, section.centres_um)
    assert read(str(path))[-1][2] == "points"


def test_a_sample_section_is_recognised_by_its_folder() -> None:
    from histoscribe.simulate import sample_folder

    assert folder_reader(str(sample_folder() / "P1A")) is read


def test_the_sample_menu_gives_h_and_e_and_spots() -> None:
    from histoscribe.widgets.contributions import samples

    assert [kind for _, _, kind in samples.section()] == ["image", "points"]


def test_ome_zarr_folders_and_urls_are_offered(tmp_path: Path) -> None:
    from histoscribe.slide import open_slide, write_slide

    source = tmp_path / "small.tif"
    tifffile.imwrite(source, np.full((300, 300, 3), 230, np.uint8), tile=(256, 256), photometric="rgb")
    store = write_slide(open_slide(source, mpp=0.5), tmp_path / "slide.ome.zarr")
    assert folder_reader(str(store)) is read
    ((pixels, described, kind),) = read(str(store))
    assert (kind, described["name"], pixels.shape) == ("image", "slide", (300, 300, 3))
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    assert folder_reader(str(tmp_path / "other.zarr")) is None
    assert slide_reader("https://example.org/slide.ome.zarr") is read
    assert slide_reader("https://example.org/picture.png") is None
    assert read(store.as_uri())[0][0].shape == (300, 300, 3)


def test_spatial_data_is_a_section_and_no_slide(tmp_path: Path) -> None:
    (tmp_path / "run.zarr" / "tables").mkdir(parents=True)
    assert folder_reader(str(tmp_path / "run.zarr")) is read


def test_dicom_files_that_are_no_slides_are_left_to_others(tmp_path: Path) -> None:
    file = tmp_path / "scan" / "ct.dcm"
    file.parent.mkdir()
    file.write_bytes(bytes(128) + b"DICM" + bytes(200))
    assert slide_reader(str(file)) is None
    assert folder_reader(str(file.parent)) is None


@pytest.mark.realdata
def test_a_dicom_folder_is_a_slide(real_data: Path) -> None:
    folder = real_data / "slides" / "CMU-1-Small-Region-dicom"
    assert folder_reader(str(folder)) is read
    ((pixels, described, _),) = read(str(folder))
    assert pixels[0].shape == (2967, 2220, 3)
    assert described["scale"] == (0.499, 0.499)
    assert slide_reader(str(next(folder.iterdir()))) is read


def test_napari_hands_us_urls(tmp_path: Path, npe2pm: object) -> None:
    from npe2 import PluginManifest

    npe2pm.register(PluginManifest.from_distribution("napari-histoscribe"), warn_disabled=False)
    for url in ("https://example.org/a/slide.ome.zarr", "file:///data/slide.zarr"):
        commands = [reader.command for reader in npe2pm.iter_compatible_readers(url)]
        assert commands == ["napari-histoscribe.read_slide"]
