"""Every layout that the simulator writes reads back to its own numbers, and to those that peers read."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from scipy import sparse

from histoscribe.errors import SectionError, SettingError
from histoscribe.section import gene_column, open_section
from histoscribe.section.raster import raster_of
from histoscribe.section.readers.feature_slice import read_feature_slice
from histoscribe.slide import write_slide
from runs.hd import simulate_hd
from runs.spaceranger import write_spaceranger
from runs.spaceranger_hd import cell_names, write_spaceranger_hd


def same(section, table, centres=None):
    """Whether a peer's table has our spots, genes, counts and, if given, places (x, y)."""
    rows = table.obs_names.get_indexer(section.table.obs_names)
    assert (rows >= 0).all()
    assert sorted(rows) == list(range(table.n_obs))
    assert table.var_names.tolist() == section.genes
    assert abs(sparse.csr_matrix(table.X)[rows] - section.table.X).sum() == 0
    places = np.asarray(table.obsm["spatial"] if centres is None else centres, dtype=float)[rows]
    np.testing.assert_allclose(places, section.table.obsm["spatial"], atol=1e-6)


@pytest.mark.parametrize("layout", ["1", "2", "3", "4"])
def test_squidpy_and_spatialdata_io_read_the_same_visium(simulated, tmp_path, layout):
    squidpy = pytest.importorskip("squidpy")
    spatialdata_io = pytest.importorskip("spatialdata_io")
    folder = tmp_path / "S5"
    write_spaceranger(simulated, folder, layout=layout)
    ours = open_section(folder)
    same(ours, squidpy.read.visium(folder))
    theirs = spatialdata_io.visium(folder, dataset_id="S5")
    shapes = theirs["S5"].geometry
    same(ours, theirs["table"], np.column_stack([shapes.x, shapes.y]))
    radius = theirs["S5"].radius.to_numpy()
    np.testing.assert_allclose(2 * radius * ours.mpp, ours.spot_um, rtol=0.01)


def test_scanpy_reads_the_same_text_matrix(simulated, tmp_path):
    import scanpy

    write_spaceranger(simulated, tmp_path / "S5", layout="4", matrix="mtx")
    ours = open_section(tmp_path / "S5")
    theirs = scanpy.read_10x_mtx(tmp_path / "S5" / "filtered_feature_bc_matrix")[ours.table.obs_names]
    assert theirs.var_names.tolist() == ours.genes
    assert abs(theirs.X - ours.table.X).sum() == 0


@pytest.mark.parametrize("bin_um", [2, 8, 16])
def test_bins_read_back_to_their_numbers(hd_run, hd_folder, bin_um):
    section = open_section(hd_folder, bin_um=bin_um)
    counts, in_tissue = hd_run.binned(bin_um)
    columns = hd_run.extent[1] * 2 // bin_um
    places = section.table.obs[["array_row", "array_col"]].to_numpy()
    flat = places[:, 0] * columns + places[:, 1]
    np.testing.assert_array_equal(np.sort(flat), np.flatnonzero(in_tissue))
    assert abs(counts[flat] - section.table.X).sum() == 0
    step = bin_um / 2
    homogeneous = np.column_stack([places[:, ::-1] * step + (step - 1) / 2, np.ones(len(places))])
    np.testing.assert_allclose(section.table.obsm["spatial"], (homogeneous @ hd_run.to_pixels.T)[:, :2])
    assert (section.name, section.mpp, section.spot_um, section.pitch_um) == ("hd", 0.5, bin_um, bin_um)
    assert section.warnings == ()
    assert section.slide is not None
    assert section.slide.shape == hd_run.slide.shape


@pytest.mark.parametrize("lost", [["bin_size_um"], ["bin_size_um", "microns_per_pixel"]])
def test_bins_whose_scale_factors_do_not_say_their_size_keep_it(hd_folder, tmp_path, lost):
    folder = shutil.copytree(hd_folder / "outs" / "binned_outputs" / "square_016um", tmp_path / "bins")
    scales = folder / "spatial" / "scalefactors_json.json"
    known = json.loads(scales.read_text())
    scales.write_text(json.dumps({key: value for key, value in known.items() if key not in lost}))
    found = open_section(folder)
    assert (found.mpp, found.pitch_um, found.spot_um) == pytest.approx((0.5, 16.0, 16.0))
    assert found.warnings == ()


def test_8_um_is_the_default_and_a_part_may_be_named(hd_folder):
    assert open_section(hd_folder).spot_um == 8
    assert open_section(hd_folder / "outs").spot_um == 8
    part = hd_folder / "outs" / "binned_outputs" / "square_016um"
    assert (open_section(part).spot_um, open_section(part).name) == (16, "hd")
    assert open_section(part, bin_um=16).spot_um == 16
    with pytest.raises(SectionError, match=r"no bins of 4 µm; choose from 2, 8, 16 µm"):
        open_section(hd_folder, bin_um=4)
    with pytest.raises(SectionError, match=r"holds no bins of 8 µm"):
        open_section(part, bin_um=8)


@pytest.mark.parametrize("bin_um", [2, 8, 16])
def test_one_gene_through_the_feature_slice(hd_folder, bin_um):
    path = hd_folder / "outs" / "feature_slice.h5"
    section = open_section(hd_folder, bin_um=bin_um)
    raster = raster_of(section)
    first = section.table.obs[["array_row", "array_col"]].to_numpy().min(axis=0)
    for gene in section.genes[::7]:
        image = read_feature_slice(path, gene, bin_um=bin_um)
        window = image[first[0] : first[0] + raster.shape[0], first[1] : first[1] + raster.shape[1]]
        np.testing.assert_array_equal(window, raster.image(gene_column(section, gene)))
        assert np.isfinite(image).sum() == section.table.n_obs
    by_id = read_feature_slice(path, section.table.var["gene_ids"].iloc[3], bin_um=bin_um)
    np.testing.assert_array_equal(by_id, read_feature_slice(path, section.genes[3], bin_um=bin_um))


def test_segmented_cells(hd_run, hd_folder):
    section = open_section(hd_folder / "outs" / "segmented_outputs")
    assert section.table.obs_names.tolist() == cell_names(hd_run)
    np.testing.assert_allclose(section.centres, hd_run.cell_centres, atol=2e-3)
    for cell in (1, 17, len(hd_run.cell_centres)):
        expected = np.asarray(hd_run.counts[hd_run.cell_of == cell].sum(axis=0)).ravel()
        np.testing.assert_array_equal(section.table.X[[cell - 1]].toarray().ravel(), expected)
    polygon = 12 / 2 * np.sin(2 * np.pi / 12) * 4.5**2
    np.testing.assert_allclose(section.table.obs["area_um2"], polygon, rtol=1e-2)
    assert section.spot_um == pytest.approx(2 * np.sqrt(polygon / np.pi), rel=1e-2)
    assert section.name == "hd"
    assert section.warnings == ()


def test_the_full_resolution_slide_beside_a_run(hd_run, hd_folder, tmp_path):
    write_slide(hd_run.slide, tmp_path / "hd.tif")
    for path in (hd_folder, hd_folder / "outs" / "segmented_outputs"):
        alone, section = open_section(path), open_section(path, slide=tmp_path / "hd.tif")
        assert section.alignment == "fits"
        assert section.slide.levels[0].downsample == 1.0
        np.testing.assert_array_equal(section.centres, alone.centres)
        with pytest.raises(SectionError, match="does not fit"):
            open_section(path, slide=hd_folder / "outs/spatial/cytassist_image.tiff")


def test_a_run_without_bins_opens_as_cells(hd_run, hd_folder, tmp_path):
    shutil.copytree(hd_folder / "outs" / "segmented_outputs", tmp_path / "run/outs/segmented_outputs")
    section = open_section(tmp_path / "run")
    assert (section.name, section.table.n_obs) == ("run", len(hd_run.cell_centres))


def test_spatialdata_io_reads_the_same_bins_and_cells(hd_folder):
    spatialdata_io = pytest.importorskip("spatialdata_io")
    theirs = spatialdata_io.visium_hd(hd_folder / "outs", dataset_id="hd", load_segmentations_only=False)
    for bin_um in (2, 8, 16):
        same(open_section(hd_folder, bin_um=bin_um), theirs[f"square_{bin_um:03d}um"])
    cells = open_section(hd_folder / "outs" / "segmented_outputs")
    middle = theirs["hd_cell_segmentations"].geometry.centroid
    same(cells, theirs["cell_segmentations"], np.column_stack([middle.x, middle.y]))
    np.testing.assert_allclose(
        theirs["hd_cell_segmentations"].area * cells.mpp**2, cells.table.obs["area_um2"], rtol=1e-9
    )


@pytest.mark.slow
def test_what_spatialdata_io_writes_of_a_run_is_read_again(hd_folder, tmp_path):
    spatialdata_io = pytest.importorskip("spatialdata_io")
    theirs = spatialdata_io.visium_hd(
        hd_folder / "outs", dataset_id="hd", bin_size=[8, 16], load_segmentations_only=False
    )
    theirs.write(tmp_path / "hd.zarr")
    for bin_um in (None, 16):
        read, ours = open_section(tmp_path / "hd.zarr", bin_um=bin_um), open_section(hd_folder, bin_um=bin_um)
        assert read.table.obs_names.tolist() == ours.table.obs_names.tolist()
        assert abs(read.table.X - ours.table.X).sum() == 0
        np.testing.assert_allclose(read.centres, ours.centres, atol=1e-6)
        assert (read.mpp, read.pitch_um, read.spot_um) == pytest.approx((0.5, ours.pitch_um, ours.spot_um))
        assert read.slide.shape == ours.slide.shape
        assert read.alignment == "fits"
    assert read.name == "hd"
    with pytest.raises(SectionError, match="holds 3 tables"):
        open_section(tmp_path / "hd.zarr", bin_um=4)


def test_version_3_has_no_cells_and_layouts_are_checked(hd_run, tmp_path):
    write_spaceranger_hd(hd_run, tmp_path / "three", layout="3")
    assert not (tmp_path / "three" / "segmented_outputs").exists()
    assert open_section(tmp_path / "three").spot_um == 8
    with pytest.raises(SettingError, match="use 3 or 4"):
        write_spaceranger_hd(hd_run, tmp_path / "x", layout="2")
    with pytest.raises(SettingError, match="cannot simulate 100 µm"):
        simulate_hd(size_um=100)


def test_simulating_twice_gives_the_same_run(hd_run):
    again = simulate_hd(3, name="hd", genes=40)
    assert abs(again.counts - hd_run.counts).sum() == 0
    np.testing.assert_array_equal(again.cell_of, hd_run.cell_of)
