from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy.sparse import csr_matrix

from histoscribe.errors import SectionError
from histoscribe.record import record_of
from histoscribe.section import Section, open_section, read_legacy, write_section
from histoscribe.section.assembly import finished
from histoscribe.slide.colour import TRANSPARENT

Make = Callable[..., Any]


def test_foreign_file_with_its_own_image(tmp_path: Path, foreign: Make) -> None:
    foreign().write_h5ad(tmp_path / "foreign.h5ad")
    section = open_section(tmp_path / "foreign.h5ad")
    assert (section.name, section.patient, section.spot_um) == ("V1", "V1", 55.0)
    assert section.mpp == pytest.approx(0.8)
    assert section.slide is not None
    assert section.slide.shape == (1300, 1500)
    assert section.slide.levels[0].pixels[:2, :2].dtype == np.uint8
    assert record_of(section.table).kind == "measured"
    assert any("Visium's 100 µm were assumed" in warning for warning in section.warnings)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_transparent_glass_of_a_held_image_is_laid_on_white(
    tmp_path: Path, foreign: Make, kind: type
) -> None:
    table = foreign()
    held = table.uns["spatial"]["V1"]["images"]
    rgba = np.concatenate((held["hires"], np.ones((130, 150, 1), np.float32)), axis=2)
    rgba[:60] = 0
    most = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[kind]
    held["hires"] = (rgba * most).astype(kind)
    table.write_h5ad(tmp_path / "held.h5ad")
    slide = open_section(tmp_path / "held.h5ad").slide
    assert slide is not None
    assert slide.warnings.count(TRANSPARENT) == 1
    read = slide.levels[0].pixels[:]
    assert (read[:60] == 255).all()
    np.testing.assert_allclose(read[60:], rgba[60:, :, :3] * 255, atol=1)


def test_a_held_image_of_few_bits_is_left_out_and_said(tmp_path: Path, foreign: Make) -> None:
    table = foreign()
    held = table.uns["spatial"]["V1"]["images"]
    held["hires"] = (held["hires"] * 4095).astype(np.uint16)
    table.write_h5ad(tmp_path / "held.h5ad")
    section = open_section(tmp_path / "held.h5ad")
    assert any("hires image was left out" in warning for warning in section.warnings)
    assert section.slide is None


def test_spots_off_the_tissue_and_twin_symbols(tmp_path: Path, foreign: Make) -> None:
    table = foreign()
    table.obs["in_tissue"] = [0, 1] * 20
    table.var_names = ["A", "B", "A", "C", "D", "E"]
    table.write_h5ad(tmp_path / "foreign.h5ad")
    section = open_section(tmp_path / "foreign.h5ad")
    assert section.table.n_obs == 20
    assert section.genes == ["A", "B", "A-1", "C", "D", "E"]


def test_raw_counts_are_found_in_their_layer(tmp_path: Path, foreign: Make) -> None:
    table = foreign()
    table.layers["counts"] = table.X.copy()
    table.X = np.log1p(table.X.toarray()) - 0.5
    table.write_h5ad(tmp_path / "foreign.h5ad")
    section = open_section(tmp_path / "foreign.h5ad")
    np.testing.assert_array_equal(section.table.X.toarray(), table.layers["counts"].toarray())
    assert any('layers["counts"] was taken' in warning for warning in section.warnings)


def test_a_bare_matrix_says_what_is_missing(space_ranger: Make) -> None:
    folder = space_ranger().folder
    with pytest.raises(SectionError, match="a matrix of counts without positions"):
        open_section(folder / "filtered_feature_bc_matrix.h5")


def assert_same(one: Section, other: Section) -> None:
    for part in ("name", "patient", "spot_um", "pitch_um", "mpp", "genes", "warnings"):
        assert getattr(one, part) == getattr(other, part), part
    assert one.table.obs_names.tolist() == other.table.obs_names.tolist()
    np.testing.assert_array_equal(one.centres, other.centres)
    np.testing.assert_array_equal(one.table.to_df(), other.table.to_df())
    assert record_of(one.table).kind == record_of(other.table).kind


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12
)
lengths = st.floats(0.01, 1e4)


@given(
    name=names,
    patient=names,
    lengths=st.tuples(lengths, lengths, lengths),
    warnings=st.lists(names, max_size=3, unique=True),
    kind=st.sampled_from(["measured", "predicted"]),
    data=st.data(),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_again(
    tmp_path: Path, name: str, patient: str, lengths: Any, warnings: list[str], kind: Any, data: Any
) -> None:
    spots, genes = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 5))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = random.poisson(1.0, (spots, genes)).astype(np.float32)
    values[0, 0] += 1  # reading says where every count is zero
    table = anndata.AnnData(
        csr_matrix(values) if kind == "measured" else np.log1p(values),
        obs=pd.DataFrame({"in_tissue": True}, index=[f"s{index}" for index in range(spots)]),
        obsm={"spatial": random.uniform(-1e4, 1e4, (spots, 2))},
    )
    mpp, spot, pitch = lengths
    section = finished(Section(name, table, None, mpp, spot, pitch, patient or name, tuple(warnings)), kind)
    path = write_section(section, tmp_path / "again.h5ad")
    assert_same(section, open_section(path))


def test_slide_beside_the_file_is_opened_again(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    section = read_legacy(files.counts, files.positions, files.slide, patient="A")
    again = open_section(write_section(section, tmp_path / "A1.h5ad"))
    assert_same(section, again)
    assert again.slide is not None
    assert again.slide.path == files.slide
    assert again.slide.shape == (420, 380)


def test_reduced_image_of_a_run_keeps_its_factor(space_ranger: Make, tmp_path: Path) -> None:
    section = open_section(space_ranger().folder)
    again = open_section(write_section(section, tmp_path / "run.h5ad"))
    assert_same(section, again)
    assert again.slide is not None
    assert again.slide.shape == (1200, 1600)


def test_slide_elsewhere_is_found_by_its_place_and_known_by_its_content(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    section = read_legacy(files.counts, files.positions, files.slide)
    path = write_section(section, tmp_path / "results" / "A1.h5ad")
    again = open_section(path)
    assert again.slide is not None
    assert again.slide.path == files.slide
    assert not any("slide" in warning for warning in again.warnings)


def test_an_earlier_file_s_slide_elsewhere_is_not_followed_and_its_image_shown(
    legacy: Make, tmp_path: Path
) -> None:
    files = legacy()
    section = read_legacy(files.counts, files.positions, files.slide)
    path = write_section(section, tmp_path / "results" / "A1.h5ad")
    table = anndata.read_h5ad(path)
    for key in ("record_version", "slide_sha256", "slide_path", "slide_held"):
        del table.uns["histoscribe"][key]
    table.write_h5ad(path)
    again = open_section(path)
    assert any("lies outside the file's folder and was not opened" in warning for warning in again.warnings)
    assert again.slide is not None
    assert again.slide.path == path
    assert again.slide.shape == (420, 380)
    named = open_section(path, slide=files.slide)
    assert named.slide is not None
    assert named.slide.path == files.slide


def test_lost_slide_is_a_warning(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    path = write_section(read_legacy(files.counts, files.positions, files.slide), tmp_path / "A1.h5ad")
    files.slide.unlink()
    (said,) = open_section(path).warnings
    assert "its slide A1.png is no longer there: name it in a cohort's column slide" in said


def test_written_file_is_squidpys(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    path = write_section(read_legacy(files.counts, files.positions, files.slide), tmp_path / "A1.h5ad")
    table = anndata.read_h5ad(path)
    entry = table.uns["spatial"]["A1"]
    assert entry["images"]["hires"].dtype == np.uint8
    assert max(entry["images"]["hires"].shape) <= 1000
    assert entry["scalefactors"]["tissue_hires_scalef"] == pytest.approx(1.0)
    assert entry["scalefactors"]["spot_diameter_fullres"] == pytest.approx(100 / 5, rel=1e-3)
    import matplotlib

    matplotlib.use("Agg")
    import scanpy

    scanpy.pl.spatial(table, color="ERBB2", show=False)


def test_large_slide_is_kept_small(legacy: Make, tmp_path: Path, png: Make) -> None:
    files = legacy()
    png(files.slide, 600, 1200)
    section = read_legacy(files.counts, files.positions, files.slide)
    entry = anndata.read_h5ad(write_section(section, tmp_path / "A1.h5ad")).uns["spatial"]["A1"]
    assert entry["images"]["hires"].shape == (500, 1000, 3)
    assert entry["scalefactors"]["tissue_hires_scalef"] == pytest.approx(1000 / 1200, rel=1e-3)


def test_writing_leaves_the_section_as_it_was(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    section = read_legacy(files.counts, files.positions, files.slide)
    before = repr(section.table.uns)
    write_section(section, tmp_path / "A1.h5ad")
    assert repr(section.table.uns) == before


def test_tables_are_written_as_they_are(tmp_path: Path, foreign: Make) -> None:
    write_section(foreign(), tmp_path / "table.h5ad")
    assert open_section(tmp_path / "table.h5ad").table.n_obs == 40
    with pytest.raises(SectionError, match="no positions"):
        write_section(anndata.AnnData(np.ones((2, 2))), tmp_path / "none.h5ad")
    assert not (tmp_path / "none.h5ad").exists()


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, foreign: Make) -> None:
    path = write_section(foreign(), tmp_path / "table.h5ad")
    before = path.read_bytes()
    table = foreign()
    table.uns["impossible"] = object()
    with pytest.raises(SectionError, match="something that h5ad cannot store"):
        write_section(table, path)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["table.h5ad"]
