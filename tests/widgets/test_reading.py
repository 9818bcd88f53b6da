"""Readers: quick, sure of their own, silent about everything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
import tifffile

from histoscribe.errors import HistoscribeError
from histoscribe.section import Section, write_section
from histoscribe.slide import open_slide
from histoscribe.widgets.contributions.readers import get_reader, opened, read
from histoscribe.widgets.layers.arrangement import side_by_side
from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.napari_private.window import unwrapped


@pytest.fixture
def tiled(tmp_path: Path) -> Path:
    path = tmp_path / "tiled.tif"
    pixels = np.full((2304, 2048, 3), 230, np.uint8)
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, tile=(256, 256), photometric="rgb", compression="jpeg", subifds=1)
        tiff.write(pixels[::4, ::4], tile=(256, 256), photometric="rgb", compression="jpeg", subfiletype=1)
    return path


def on_slide(path: Path, name: str, kind: str) -> Section:
    places = np.mgrid[200:2000:200, 200:2000:200].reshape(2, -1).T.astype(float)
    table = anndata.AnnData(np.ones((len(places), 3), np.float32), obsm={"spatial": places})
    table.uns["histoscribe"] = {"kind": kind, "name": name}
    return Section(name, table, open_slide(path, mpp=0.5), 0.5, 55.0, 100.0, "P")


def test_a_large_tiled_rgb_tiff_is_offered(tiled: Path) -> None:
    assert get_reader(str(tiled)) is read
    assert get_reader([str(tiled)]) is read


def test_every_tiff_is_offered_and_what_is_no_slide_says_why(tmp_path: Path) -> None:
    pixels = np.full((600, 500, 4), 255, np.uint8)
    rgb = {"photometric": "rgb"}
    tifffile.imwrite(tmp_path / "small.tif", pixels[..., :3], tile=(256, 256), **rgb)
    tifffile.imwrite(tmp_path / "striped.btf", pixels[..., :3], bigtiff=True, **rgb)
    tifffile.imwrite(tmp_path / "planar.tif", pixels[..., :3].transpose(2, 0, 1), planarconfig=2, **rgb)
    tifffile.imwrite(tmp_path / "alpha.tif", pixels, extrasamples=["unassalpha"], **rgb)
    for name in ("small.tif", "striped.btf", "planar.tif", "alpha.tif"):
        reader = get_reader(str(tmp_path / name))
        assert reader is read, name
        ((levels, described, kind),) = reader(str(tmp_path / name))
        assert (kind, levels.shape, described["rgb"]) == ("image", (600, 500, 3), True), name
    (tmp_path / "broken.tif").write_bytes(b"II*\0\xff\xff\xff\xff")
    tifffile.imwrite(tmp_path / "flags.tif", np.zeros((600, 500), np.float32))
    for name in ("broken.tif", "flags.tif"):
        with pytest.raises(HistoscribeError, match=name):
            get_reader(str(tmp_path / name))(str(tmp_path / name))
    for path in (tmp_path / "absent.svs", tmp_path / "no folder"):
        assert get_reader(str(path)) is None


def test_an_archive_is_dropped_as_a_folder_or_by_one_of_its_files(
    write_hest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_hest(tmp_path / "hest", {"A": {}, "B": {}})
    assert get_reader(str(root)) is read
    assert get_reader(str(root / "st" / "B.h5ad")) is read
    assert [one.name for one in opened(root)] == ["A", "B"]
    (alone,) = opened(root / "st" / "B.h5ad")
    assert isinstance(alone, Section)
    assert alone.patient == "A study: patient 1"
    monkeypatch.setattr("histoscribe.widgets.contributions.readers.MOST_SECTIONS", 1)
    with pytest.raises(HistoscribeError, match=r"2 sections, too many .* st/ID\.h5ad"):
        opened(root)


def test_a_stack_of_files_is_left_to_others(tiled: Path) -> None:
    assert get_reader([str(tiled), str(tiled)]) is None


def test_folders_that_are_not_space_ranger_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "outs" / "spatial").mkdir(parents=True)
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "outs" / "spatial" / "tissue_positions.csv").touch()
    assert get_reader(str(tmp_path)) is read


def test_h5ad_without_positions_is_left_to_others(tmp_path: Path) -> None:
    plain, placed, broken = (tmp_path / f"{name}.h5ad" for name in ("plain", "placed", "broken"))
    with h5py.File(plain, "w") as content:
        content.create_group("obsm")
    with h5py.File(placed, "w") as content:
        content["obsm/spatial"] = np.zeros((3, 2))
    broken.write_bytes(b"not hdf5")
    assert get_reader(str(placed)) is read
    for path in (plain, broken, tmp_path / "absent.h5ad"):
        assert get_reader(str(path)) is None


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
    (found,) = opened(path)
    assert isinstance(found, Section)
    np.testing.assert_allclose(found.centres_um, section.centres_um)
    assert read(str(path))[-1][2] == "points"


def test_a_sample_section_is_recognised_by_its_folder() -> None:
    from histoscribe.simulate import sample_folder

    assert get_reader(str(sample_folder() / "P1A")) is read


def test_the_sample_menu_gives_h_and_e_and_spots() -> None:
    from histoscribe.widgets.contributions import samples

    assert [kind for _, _, kind in samples.section()] == ["image", "points"]


@pytest.mark.viewer
def test_a_prediction_lies_on_the_h_and_e_that_is_open(window: Any, tiled: Path, tmp_path: Path) -> None:
    measured, predicted = tmp_path / "measured.h5ad", tmp_path / "predicted.h5ad"
    for path in (measured, predicted):
        write_section(on_slide(tiled, "A", path.stem), path)
    other = tmp_path / "other.tif"
    other.write_bytes(tiled.read_bytes())
    write_section(on_slide(other, "B", "measured"), tmp_path / "b.h5ad")
    window.open(str(measured), plugin=PLUGIN)
    first, _ = window.layers
    first.translate = (100.0, 250.0)
    window.layers[1].translate = (100.0, 250.0)
    window.open(str(predicted), plugin=PLUGIN)
    side_by_side(unwrapped(window), False)
    assert [layer.name for layer in window.layers] == ["A H&E", "A measured", "A predicted"]
    np.testing.assert_allclose(window.layers[2].extent.world, window.layers[1].extent.world)
    assert window.layers[2].metadata["section"].slide.levels is first.metadata["slide"].levels
    window.open(str(tmp_path / "b.h5ad"), plugin=PLUGIN)
    side_by_side(unwrapped(window), False)
    assert {"A H&E", "B H&E"} == {layer.name for layer in window.layers if layer.name.endswith("H&E")}


def test_ome_zarr_folders_and_urls_are_offered(tmp_path: Path) -> None:
    from histoscribe.slide import open_slide, write_slide

    source = tmp_path / "small.tif"
    tifffile.imwrite(source, np.full((300, 300, 3), 230, np.uint8), tile=(256, 256), photometric="rgb")
    store = write_slide(open_slide(source, mpp=0.5), tmp_path / "slide.ome.zarr")
    assert get_reader(str(store)) is read
    ((pixels, described, kind),) = read(str(store))
    assert (kind, described["name"], pixels.shape) == ("image", "slide", (300, 300, 3))
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(HistoscribeError, match="no OME-Zarr image at this place"):
        get_reader(str(tmp_path / "other.zarr"))(str(tmp_path / "other.zarr"))
    assert get_reader("https://example.org/slide.ome.zarr") is read
    assert get_reader("https://example.org/picture.png") is None
    assert read(store.as_uri())[0][0].shape == (300, 300, 3)


def test_spatial_data_is_a_section_and_no_slide(tmp_path: Path) -> None:
    for name in ("run.zarr", "run"):
        (tmp_path / name / "tables").mkdir(parents=True)
        (tmp_path / name / "zarr.json").write_text("{}")
        assert get_reader(str(tmp_path / name)) is read


def test_dicom_files_that_are_no_slides_say_so(tmp_path: Path) -> None:
    file = tmp_path / "scan" / "ct.dcm"
    file.parent.mkdir()
    file.write_bytes(bytes(128) + b"DICM" + bytes(200))
    for path in (file, file.parent):
        with pytest.raises(HistoscribeError, match=r"ct\.dcm"):
            get_reader(str(path))(str(path))


@pytest.mark.realdata
def test_a_dicom_folder_is_a_slide(real_data: Path) -> None:
    folder = real_data / "slides" / "CMU-1-Small-Region-dicom"
    assert get_reader(str(folder)) is read
    ((pixels, described, _),) = read(str(folder))
    assert pixels[0].shape == (2967, 2220, 3)
    assert described["scale"] == (0.499, 0.499)
    assert get_reader(str(next(folder.iterdir()))) is read


def test_napari_hands_us_urls(tmp_path: Path, npe2pm: object) -> None:
    from npe2 import PluginManifest

    npe2pm.register(PluginManifest.from_distribution("napari-histoscribe"), warn_disabled=False)
    for url in ("https://example.org/a/slide.ome.zarr", "file:///data/slide.zarr"):
        commands = [reader.command for reader in npe2pm.iter_compatible_readers(url)]
        assert commands == ["napari-histoscribe.read"]


@pytest.mark.viewer
@pytest.mark.usefixtures("own_settings", "plugin_settings")
def test_cohorts_and_regions_are_dropped_into_the_viewer_and_tables_say_what_to_do(
    make_section: Callable[..., Section], make_napari_viewer_proxy: Any, npe2pm: Any, tmp_path: Path
) -> None:
    from npe2 import PluginManifest

    from histoscribe.section import write_section
    from histoscribe.tiles import Region, write_regions

    npe2pm.register(PluginManifest.from_distribution("napari-histoscribe"), warn_disabled=False)
    for name in ("A1", "B2"):
        write_section(make_section(name), tmp_path / f"{name}.h5ad")
    cohort = tmp_path / "cohort.csv"
    cohort.write_text("section,patient,path\nA1,P,A1.h5ad\nB2,Q,B2.h5ad\n")
    square = np.array([[10, 10], [10, 200], [200, 200], [200, 10]], float)
    drawn = write_regions([Region("Tumor", (200, 0, 0), square)], tmp_path / "drawn.geojson")
    window = make_napari_viewer_proxy()
    with pytest.raises(HistoscribeError, match="open their slide first"):
        read(str(drawn))
    window.open(str(cohort), plugin="napari-histoscribe")
    assert [layer.name for layer in window.layers if "measured" in layer.name] == [
        "A1 measured",
        "B2 measured",
    ]
    window.open(str(drawn), plugin="napari-histoscribe")
    np.testing.assert_allclose(window.layers[-1].data[0][:4], square * 0.5)
    (tmp_path / "bulk.csv").write_text("sample,EPCAM,ERBB2\ns1,1.5,2\ns2,0,3\n")
    with pytest.raises(HistoscribeError, match="Impute panel"):
        get_reader(str(tmp_path / "bulk.csv"))(str(tmp_path / "bulk.csv"))


@pytest.mark.viewer
def test_a_large_prediction_opens_gene_by_gene(
    window: Any, make_section: Callable[..., Section], tmp_path: Path, monkeypatch, qtbot: Any
) -> None:
    import dask.array as da

    from histoscribe.widgets.layers.painting import paint, sections_in
    from histoscribe.widgets.napari_private.window import unwrapped
    from histoscribe.widgets.state.state import state_of

    made = make_section(kind="predicted", genes=tuple(f"G{number}" for number in range(40)))
    made.table.var["held_out_r"] = np.arange(40) / 40
    values = made.table.X
    made.table.X = da.from_array(values, chunks=(16, 40))
    write_section(made, tmp_path / "dense.h5ad")
    monkeypatch.setattr("histoscribe.section.readers.h5ad.LAZY", 1)
    asked: list[int] = []
    read_of = h5py.Dataset.__getitem__

    def counting(self: h5py.Dataset, key: Any, *more: Any) -> Any:
        found = read_of(self, key, *more)
        if self.name == "/X":
            asked.append(np.size(found))
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    window.open(str(tmp_path / "dense.h5ad"), plugin="napari-histoscribe")
    viewer = unwrapped(window)
    qtbot.waitUntil(lambda: state_of(viewer).gene == "G39", timeout=20_000)
    (section,) = sections_in(viewer)
    assert sum(asked) == 4 * len(values)  # that lie together
    state_of(viewer).gene = "G3"
    for _ in range(2):
        paint(viewer, state_of(viewer))
    assert sum(asked) == 2 * 4 * len(values)
    layer = next(one for one in viewer.layers if one.metadata.get("section") is section)
    np.testing.assert_array_equal(layer.features["G3"], values[:, 3])
