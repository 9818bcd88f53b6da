from __future__ import annotations

import filecmp

import numpy as np
import pytest

import make_sample
from histoscribe.errors import SectionError, SettingError
from histoscribe.section import open_section
from histoscribe.simulate import sample as sample_module, sample_cohort, sample_folder
from histoscribe.simulate.sample import attach_truth
from histoscribe.slide import open_slide, write_slide
from make_sample import write_truth
from runs.spaceranger import write_spaceranger


@pytest.mark.parametrize("layout", ["1", "2", "3", "4"])
@pytest.mark.parametrize("matrix", ["h5", "mtx"])
def test_the_product_reads_what_was_written(simulated, tmp_path, layout, matrix):
    write_spaceranger(simulated, tmp_path / "S5", layout=layout, matrix=matrix)
    write_slide(simulated.slide, tmp_path / "S5.tif")
    read = open_section(tmp_path / "S5", slide=tmp_path / "S5.tif")
    rows = read.table.obs_names.get_indexer(simulated.table.obs_names)
    assert len(rows) == read.table.n_obs
    assert read.genes == simulated.genes
    assert (read.table.X[rows] != simulated.table.X).nnz == 0
    atol = 0.51 if layout == "1" else 1e-4
    np.testing.assert_allclose(read.centres[rows], simulated.centres, atol=atol)
    assert read.pitch_um == pytest.approx(100, rel=0.01)
    assert read.spot_um == pytest.approx(55, rel=0.01)
    assert read.mpp == pytest.approx(1.0, rel=0.01)


def test_writing_twice_gives_the_same_bytes(simulated, tmp_path):
    for name in ("a", "b"):
        write_spaceranger(simulated, tmp_path / name)
        write_spaceranger(simulated, tmp_path / name / "text", matrix="mtx")
        write_slide(simulated.slide, tmp_path / name / "slide.tif")
        write_truth(simulated, tmp_path / name / "truth.npz")
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) > 10
    same, other, missing = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", files, shallow=False)
    assert (len(same), other, missing) == (len(files), [], [])


def test_off_tissue_spots_complete_the_lattice(simulated, tmp_path):
    write_spaceranger(simulated, tmp_path / "S5")
    lines = (tmp_path / "S5/spatial/tissue_positions.csv").read_text().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    assert len({cell[0] for cell in cells}) == len(cells)
    assert sum(int(cell[1]) for cell in cells) == simulated.table.n_obs < len(cells)
    for cell in cells:
        row, column, y, x = (float(value) for value in cell[2:])
        assert y == pytest.approx(60 + row * 50 * np.sqrt(3), abs=1e-4)
        assert x == pytest.approx(60 + column * 50, abs=1e-4)


def test_pyramid_keeps_pixels_and_resolution(simulated, tmp_path):
    write_slide(simulated.slide, tmp_path / "a.tif", quality=90)
    slide = open_slide(tmp_path / "a.tif")
    assert slide.mpp == pytest.approx(1.0, rel=1e-3)
    assert slide.shape == simulated.slide.shape
    assert len(slide.levels) >= 2
    difference = slide.levels[0].pixels[200:700, 200:700].astype(int) - simulated.slide.levels[0].pixels[
        200:700, 200:700
    ].astype(int)
    assert np.abs(difference).mean() < 12


def test_refusals_name_the_remedy(simulated, tmp_path):
    with pytest.raises(SettingError, match="use 1, 2, 3 or 4"):
        write_spaceranger(simulated, tmp_path / "x", layout="5")  # type: ignore[arg-type]
    bare = simulated.with_table(simulated.table[:, :5].copy())
    del bare.table.obs["array_row"]
    with pytest.raises(SectionError, match="h5ad instead"):
        write_spaceranger(bare, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_truth_comes_back_in_the_table_s_own_order(simulated, tmp_path):
    write_truth(simulated, tmp_path / "truth.npz")
    bare = simulated.table[::-1, ::-2].copy()
    del bare.layers["truth"], bare.obsm["regions"]
    read = attach_truth(simulated.with_table(bare), tmp_path / "truth.npz").table
    np.testing.assert_allclose(read.layers["truth"], simulated.table.layers["truth"][::-1, ::-2], rtol=1e-3)
    np.testing.assert_allclose(read.obsm["regions"], simulated.table.obsm["regions"][::-1], atol=1e-3)
    assert "truth" not in bare.layers


@pytest.mark.parametrize("damage", ["cut", "text", "missing", "foreign"])
def test_a_damaged_truth_file_is_refused(simulated, tmp_path, damage):
    path = tmp_path / "truth.npz"
    section = simulated
    write_truth(simulated, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "text":
        path.write_text("no truth")
    elif damage == "missing":
        path.unlink()
    else:
        table = simulated.table.copy()
        table.obs_names = [f"x{name}" for name in table.obs_names]
        section = simulated.with_table(table)
    with pytest.raises(SectionError, match="damaged or belongs"):
        attach_truth(section, path)


def test_sample_is_whole_and_small():
    folder = sample_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 8e6
    sections = sample_cohort()
    assert [section.name for section in sections] == ["P1A", "P1B", "P2A", "P3A"]
    assert [section.patient for section in sections] == ["P1", "P1", "P2", "P3"]
    for section in sections:
        assert 300 <= section.table.n_obs <= 500
        assert section.table.n_vars == 300
        assert "truth" in section.table.layers
        assert section.slide is not None
        assert not section.warnings
        assert section.mpp == pytest.approx(1.0, rel=0.01)


def test_sample_can_be_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(make_sample, "SAMPLES", (("T", "P1", 11),))
    monkeypatch.setattr(make_sample, "SIZE_UM", 800.0)
    make_sample.write_sample(tmp_path / "made")
    text = (tmp_path / "made" / "cohort.csv").read_text()
    assert text.splitlines() == [
        "section,patient,path,positions,slide,pitch_um,spot_um",
        "T,P1,T,,T/T.tif,100,55",
    ]
    assert (tmp_path / "made" / "T" / "truth.npz").is_file()


def test_missing_sample_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(sample_module, "__file__", str(tmp_path / "a/b/c/sample.py"))
    with pytest.raises(SectionError, match="install the package again"):
        sample_folder()
