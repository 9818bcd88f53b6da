"""SpatialData folders: written and read again, and those of spatialdata-io."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy.sparse import csr_matrix

from histoscribe.errors import DependencyError, SectionError
from histoscribe.record import record_of
from histoscribe.section import Section, flip, open_section, write_section
from histoscribe.slide import open_slide

pytest.importorskip("spatialdata")
Make = Callable[..., Any]


def same(read: Section, written: Section) -> None:
    assert read.table.obs_names.tolist() == written.table.obs_names.tolist()
    assert read.genes == written.genes
    assert abs(read.table.X - written.table.X).max() == 0
    assert sorted(read.table.obs.columns) == sorted(written.table.obs.columns)
    np.testing.assert_array_equal(read.table.obsm["spatial"], written.table.obsm["spatial"])
    for name in ("name", "patient", "mpp", "spot_um", "pitch_um"):
        assert getattr(read, name) == getattr(written, name), name
    assert record_of(read.table).kind == record_of(written.table).kind


def test_what_is_written_is_read_again(space_ranger: Make, tmp_path: Path) -> None:
    section = open_section(space_ranger(name="run 1").folder, patient="P 7")
    path = write_section(section, tmp_path / "out" / "run.zarr")
    read = open_section(path)
    same(read, section)
    assert read.alignment == "fits"
    assert read.slide is not None
    assert section.slide is not None
    assert read.slide.shape == section.slide.shape
    np.testing.assert_array_equal(read.slide.levels[0].pixels[:], section.slide.levels[0].pixels[:])
    assert set(section.warnings) <= set(read.warnings)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spots=st.integers(2, 12),
    genes=st.integers(1, 5),
    mpp=st.floats(0.1, 3),
    spot_um=st.floats(1, 100),
    predicted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_section_round_trips(
    tmp_path: Path, spots: int, genes: int, mpp: float, spot_um: float, predicted: bool, seed: int
) -> None:

    random = np.random.default_rng(seed)
    values: Any = random.normal(size=(spots, genes)).astype(np.float32)
    if not predicted:
        values = anndata.AnnData(random.poisson(2, (spots, genes)).astype(np.float32)).X
    table = anndata.AnnData(
        values,
        obs=pd.DataFrame(
            {"in_tissue": True, "grade": random.random(spots)}, index=[f"s{i}" for i in range(spots)]
        ),
        var=pd.DataFrame(index=[f"g{i}" for i in range(genes)]),
        obsm={"spatial": random.uniform(0, 5000, (spots, 2)), "evidence": random.integers(0, 9, (spots, 3))},
        uns={"histoscribe": {"kind": "predicted" if predicted else "measured", "model_sha256": "ab"}},
    )
    section = Section("any", table, None, mpp, spot_um, 100.0, "P")
    read = open_section(write_section(section, tmp_path / "any.zarr"))
    same(read, section)
    np.testing.assert_array_equal(read.table.obsm["evidence"], table.obsm["evidence"])
    np.testing.assert_array_equal(read.table.obs["grade"], table.obs["grade"])
    assert read.table.uns["histoscribe"]["model_sha256"] == "ab"


def test_spatialdata_finds_its_elements_in_place(space_ranger: Make, tmp_path: Path) -> None:
    import spatialdata

    section = open_section(space_ranger().folder)
    data = spatialdata.read_zarr(write_section(section, tmp_path / "run.zarr"))
    assert set(data.coordinate_systems) == {"global", "micrometers"}
    circles = spatialdata.transform(data["run"], to_coordinate_system="micrometers")
    np.testing.assert_allclose(circles.geometry.y, section.centres_um[:, 0])
    np.testing.assert_allclose(circles.radius * 2, section.spot_um)
    extent = spatialdata.get_extent(data["run_image"], coordinate_system="micrometers")
    np.testing.assert_allclose(extent["y"], (0, 1200 * section.mpp), rtol=1e-3)


def test_spatialdata_io_s_visium(space_ranger: Make, tmp_path: Path) -> None:
    spatialdata_io = pytest.importorskip("spatialdata_io")
    truth = space_ranger(version=2)
    spatialdata_io.visium(truth.folder, dataset_id="run").write(tmp_path / "run.zarr")
    read, ours = open_section(tmp_path / "run.zarr"), open_section(truth.folder)
    assert read.table.obs_names.tolist() == ours.table.obs_names.tolist()
    np.testing.assert_allclose(read.centres, ours.centres)
    assert read.mpp == pytest.approx(ours.mpp)
    assert read.slide is not None
    assert read.slide.shape == (1200, 1600)
    assert read.alignment == "fits"
    assert any("100 µm were assumed" in warning for warning in read.warnings)


def test_a_full_resolution_slide_beside_it(
    space_ranger: Make, tmp_path: Path, png: Callable[[Path, int, int], None]
) -> None:
    section = open_section(space_ranger().folder)
    path = write_section(section, tmp_path / "run.zarr")
    png(tmp_path / "full.png", 1200, 1600)
    assert open_section(path, slide=tmp_path / "full.png").slide.levels[0].downsample == 1.0
    png(tmp_path / "other.png", 900, 1600)
    with pytest.raises(SectionError, match="does not fit"):
        open_section(path, slide=tmp_path / "other.png")


def test_what_cannot_be_written_is_told_and_nothing_lost(space_ranger: Make, tmp_path: Path) -> None:
    section = open_section(space_ranger().folder)
    with pytest.raises(SectionError, match="a table alone"):
        write_section(section.table, tmp_path / "x.zarr")
    section.table.obs["a/b"] = 1
    with pytest.raises(SectionError, match="SpatialData cannot store"):
        write_section(section, tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()
    (tmp_path / "photos.zarr").mkdir()
    (tmp_path / "photos.zarr" / "cat.jpg").touch()
    with pytest.raises(SectionError, match="holds something else"):
        write_section(replace(section), tmp_path / "photos.zarr")


def test_a_missing_package_says_how_to_get_it(
    space_ranger: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = open_section(space_ranger().folder)
    path = write_section(section, tmp_path / "run.zarr")
    monkeypatch.setitem(__import__("sys").modules, "spatialdata", None)
    with pytest.raises(DependencyError, match=r"pip install 'napari-histoscribe\[spatialdata\]'"):
        open_section(path)
    with pytest.raises(DependencyError, match="spatialdata"):
        write_section(section, tmp_path / "again.zarr")


def cells_of(region: str, instances: Any, **columns: Any) -> Any:
    """A table of 40 cells that says what it annotates."""
    from spatialdata.models import TableModel

    obs = pd.DataFrame({"region": region, "part": instances, **columns}, index=[f"c{n}" for n in range(40)])
    counts = np.random.default_rng(0).poisson(2.0, (40, 3)).astype(np.float32)
    table = anndata.AnnData(csr_matrix(counts), obs.astype({"region": "category"}))
    return TableModel.parse(table, region=region, region_key="region", instance_key="part")


def written(path: Path, **parts: Any) -> Path:
    import spatialdata

    spatialdata.SpatialData(**parts).write(path)
    return path


PLACES = np.random.default_rng(1).uniform(0, 900, (40, 2))


def circles(index: Any, factor: float = 1.0, **systems: Any) -> Any:
    from spatialdata.models import ShapesModel

    return ShapesModel.parse(PLACES * factor, geometry=0, radius=5.0, index=index, transformations=systems)


@pytest.mark.parametrize("bins", [{16: 29.2}, {8: 14.6, 16: 29.2}])
def test_bins_under_any_name_of_their_table_keep_their_size(bins: dict[int, float], tmp_path: Path) -> None:
    import geopandas
    import shapely
    from spatialdata.models import ShapesModel

    tables, shapes = {}, {}
    for size, step in bins.items():
        rows, columns = np.divmod(np.arange(40), 8)
        boxes = shapely.box(columns * step, rows * step, (columns + 1) * step, (rows + 1) * step)
        region = f"S1_square_{size:03d}um"
        shapes[region] = ShapesModel.parse(geopandas.GeoDataFrame({"geometry": boxes}))
        tables[region if len(bins) > 1 else "expression"] = cells_of(region, np.arange(40))
    found = open_section(written(tmp_path / "bins.zarr", shapes=shapes, tables=tables))
    assert (found.pitch_um, found.spot_um) == (min(bins), min(bins))
    assert found.mpp == pytest.approx(16 / 29.2)


def test_cells_that_annotate_labels_lie_where_their_shapes_do(tmp_path: Path) -> None:
    from spatialdata.models import Labels2DModel
    from spatialdata.transformations import Scale

    names = [f"aaaa{number}-1" for number in range(40)]
    table = cells_of("cell_labels", np.arange(1, 41), cell_id=names)
    image = Labels2DModel.parse(np.zeros((50, 50), np.int32), dims=("y", "x"))
    given = {"labels": {"cell_labels": image}, "tables": {"anything": table}}
    to_pixels = Scale([1 / 0.2125] * 2, axes=("x", "y"))
    shapes = {"cell_circles": circles(names, system=to_pixels)}
    found = open_section(written(tmp_path / "cells.zarr", shapes=shapes, **given))
    assert (found.pitch_um, found.spot_um) == (None, pytest.approx(10))
    np.testing.assert_allclose(flip(found.centres), PLACES)
    table.obsm["spatial"] = PLACES
    alone = open_section(written(tmp_path / "alone.zarr", **given))
    np.testing.assert_allclose(alone.centres, found.centres)
    assert any("cell_labels is no element of shapes" in warning for warning in alone.warnings)


def test_a_coordinate_system_in_micrometres_states_the_scale(tmp_path: Path) -> None:
    from spatialdata.transformations import Identity, Scale

    systems = {"global": Identity(), "micrometers": Scale([0.25, 0.25], axes=("x", "y"))}
    shapes = {"spots": circles(np.arange(40), 4.0, **systems)}
    other = anndata.AnnData(csr_matrix(np.eye(4, dtype=np.float32)))
    tables = {"mine": cells_of("spots", np.arange(40)), "summary": other}
    found = open_section(written(tmp_path / "s.zarr", shapes=shapes, tables=tables))
    assert (found.mpp, found.spot_um) == (0.25, 2.5)


@pytest.mark.parametrize("gone", [True, False])
def test_a_spot_without_a_shape_or_a_place_costs_itself(gone: bool, tmp_path: Path) -> None:
    import shapely

    frame = circles(np.arange(40))
    frame.loc[0, "geometry"] = shapely.Point()
    shapes = {"spots": frame.iloc[1:] if gone else frame}
    tables = {"table": cells_of("spots", np.arange(40))}
    found = open_section(written(tmp_path / "s.zarr", shapes=shapes, tables=tables))
    assert list(found.table.obs_names) == [f"c{number}" for number in range(1, 40)]
    words = "without a shape were left out (1): 0" if gone else "without a position were left out (1): c0"
    assert any(words in warning for warning in found.warnings)


def outlines(rows: np.ndarray, radius: float, names: list[str]) -> Any:
    import geopandas
    import shapely
    from spatialdata.models import ShapesModel

    round_ones = shapely.buffer(shapely.points(PLACES[rows]), radius, quad_segs=32)
    return ShapesModel.parse(geopandas.GeoDataFrame({"geometry": round_ones}, index=[names[n] for n in rows]))


def test_cells_of_which_some_have_no_outline_are_not_their_nuclei(tmp_path: Path) -> None:
    names = [f"aaaa{number}-1" for number in range(40)]
    table = cells_of("cell_labels", np.arange(1, 41), cell_id=names, cell_area=np.pi * 25)
    table.obsm["spatial"] = PLACES
    shapes = {
        "cell_boundaries": outlines(np.arange(2, 40), 5.0, names),
        "nucleus_boundaries": outlines(np.arange(40), 2.0, names),
    }
    found = open_section(written(tmp_path / "Slide 7.zarr", shapes=shapes, tables={"table": table}))
    assert (found.mpp, found.spot_um) == (1.0, pytest.approx(10, rel=0.01))
    assert list(found.table.obs_names) == [f"c{number}" for number in range(2, 40)]
    assert any("without a shape were left out (2)" in warning for warning in found.warnings)
    assert (found.name, found.patient) == ("Slide 7", "Slide 7")


HD_NAMES = [f"cellid_{number:09d}-1" for number in range(40)]


def segmented(path: Path, radius: float = 16.0, **more: Any) -> Path:
    """Cells of Visium HD alone, in pixels, as spatialdata-io writes them; `more`: of SpatialData."""
    shapes = {"S1_cell_segmentations": outlines(np.arange(40), radius, HD_NAMES)}
    table = cells_of("S1_cell_segmentations", HD_NAMES)
    table.obs_names = HD_NAMES
    return written(path, shapes=shapes, tables={"cell_segmentations": table}, **more)


def test_outlines_of_cells_are_as_wide_as_circles_of_their_area(tmp_path: Path) -> None:
    found = open_section(segmented(tmp_path / "S1.zarr", attrs={"microns_per_pixel": 0.27}))
    assert (found.mpp, found.spot_um) == (0.27, pytest.approx(32 * 0.27, rel=0.01))
    assert not any("guess" in warning for warning in found.warnings)


def test_segmented_cells_without_a_scale_are_not_taken_for_micrometres(tmp_path: Path) -> None:
    for radius in (5.0, 16.0):
        with pytest.raises(SectionError, match=r"lie in pixels, .* not state the µm; write .*pixel_size_um"):
            open_section(segmented(tmp_path / f"S{radius:.0f}.zarr", radius))


def test_outlines_that_no_cell_has_by_the_stated_scale_are_doubted(tmp_path: Path) -> None:
    found = open_section(segmented(tmp_path / "S1.zarr", 4.0, attrs={"microns_per_pixel": 0.27}))
    assert any("its cells would be 2.2 µm wide" in warning for warning in found.warnings)


def test_the_scale_of_the_image_is_that_of_the_cells_on_it(tmp_path: Path) -> None:
    from spatialdata.models import Image2DModel

    pixels = np.full((3, 920, 920), 200, np.uint8)
    path = segmented(tmp_path / "S1.zarr", images={"he": Image2DModel.parse(pixels, dims=("c", "y", "x"))})
    described = path / "images" / "he" / ("zarr.json" if (path / "zarr.json").exists() else ".zattrs")
    about = json.loads(described.read_text())
    holder = about.get("attributes", about)
    (scales,) = holder.get("ome", holder)["multiscales"]
    for axis in scales["axes"][1:]:
        axis["unit"] = "micrometer"
    scales["datasets"][0]["coordinateTransformations"] = [{"type": "scale", "scale": [1.0, 0.27, 0.27]}]
    described.write_text(json.dumps(about))
    assert open_slide(path / "images" / "he").mpp == pytest.approx(0.27)
    assert open_section(path).mpp == pytest.approx(0.27)


def test_readers_whose_shapes_are_in_micrometres_state_it(tmp_path: Path) -> None:
    from spatialdata.transformations import Scale

    names = [f"aaaa{number}-1" for number in range(40)]
    shapes = {"cell_circles": circles(names, **{"global": Scale([1 / 0.2125] * 2, axes=("x", "y"))})}
    tables = {"table": cells_of("cell_circles", names)}
    told = {"spatialdata_io_reader": "xenium"}
    found = open_section(written(tmp_path / "X.zarr", shapes=shapes, tables=tables, attrs=told))
    assert found.mpp == 1.0
    assert not any("guess" in warning for warning in found.warnings)


def test_centres_that_lie_elsewhere_than_their_outlines_are_refused(tmp_path: Path) -> None:
    from spatialdata.transformations import Scale, set_transformation

    names = [f"aaaa{number}-1" for number in range(40)]
    table = cells_of("cells", names)
    table.obsm["spatial"] = PLACES * 4
    shapes = outlines(np.arange(40), 5.0, names)
    with pytest.raises(SectionError, match="outlines of its cells contradict each other"):
        open_section(written(tmp_path / "a.zarr", shapes={"cells": shapes}, tables={"table": table}))
    set_transformation(shapes, Scale([4.0, 4.0], axes=("x", "y")), "global")
    found = open_section(written(tmp_path / "b.zarr", shapes={"cells": shapes}, tables={"table": table}))
    np.testing.assert_allclose(flip(found.centres), PLACES, atol=0.1)
