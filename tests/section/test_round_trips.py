"""Predictions of every kind of input, written elsewhere and opened again with the right pixels beneath."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import imagecodecs
import numpy as np
import pytest
import tifffile

from histoscribe.record import Record, keep_record, record_of
from histoscribe.section import Section, flip, open_section, read_cohort, read_legacy, write_section
from histoscribe.slide import Slide, Window, open_slide, write_slide
from histoscribe.slide.identity import refer_to
from runs.hd import simulate_hd
from runs.spaceranger_hd import write_spaceranger_hd

Make = Callable[..., Any]


def predicted(section: Section) -> Section:
    """A prediction of a section's spots, as a model gives it."""
    assert section.slide is not None
    table = anndata.AnnData(
        np.random.default_rng(0).random((section.table.n_obs, 3)).astype(np.float32),
        obs=section.table.obs[[]].copy(),
        obsm={"spatial": section.table.obsm["spatial"].copy()},
    )
    record = Record(
        "predicted",
        section.name,
        section.patient,
        section.mpp,
        section.spot_um,
        section.pitch_um,
        slide=refer_to(section.slide),
    )
    keep_record(table, record)
    return section.with_table(table)


def picture(rows: int = 900, columns: int = 700, blue: int = 200) -> np.ndarray:
    """Colours that tell where they lie; another blue is another slide."""
    down, across = np.mgrid[:rows, :columns]
    return np.stack([down * 255 // rows, across * 255 // columns, np.full_like(down, blue)], -1).astype(
        np.uint8
    )


def bare(folder: Path, kind: str, blue: int = 200, write_dicom: Make | None = None) -> Path:
    """A slide alone, as one of many formats."""
    pixels = picture(blue=blue)
    if write_dicom is not None and kind == "dicom":
        pytest.importorskip("openslide")
        return Path(write_dicom(folder / "bare", pixels))
    if kind == "png":
        (folder / "bare.png").write_bytes(imagecodecs.png_encode(pixels))
        return folder / "bare.png"
    if kind == "jpg":
        (folder / "bare.jpg").write_bytes(imagecodecs.jpeg_encode(pixels, level=95))
        return folder / "bare.jpg"
    about = "Aperio Image Library v12\n900x700|AppMag = 20|MPP = 0.5" if kind == "svs" else None
    path = folder / ("bare.svs" if kind == "svs" else "bare.tif")
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", description=about, metadata=None)
    if kind in ("ome.tif", "ome.zarr"):
        made = write_slide(open_slide(path, mpp=0.5), folder / f"bare.{kind}")
        path.unlink()
        return made
    return path


def on_slide(slide: Slide, **columns: Any) -> Section:
    """A grid of tiles on a slide alone."""
    places = np.stack(np.meshgrid(np.arange(100, 800, 50), np.arange(100, 600, 50), indexing="ij"), -1)
    table = anndata.AnnData(np.zeros((140, 1)), obsm={"spatial": flip(places.reshape(-1, 2))})
    table.obs = table.obs.assign(**columns)
    return Section("bare", table, slide, 0.5, 25.0, 25.0, "bare")


def placed_on(folder: Path, **about: Any) -> Path:
    """A foreign table of spots on the picture, with an image of its own or without."""
    table = on_slide(open_slide(bare(folder, "svs"))).table
    table.X = np.random.default_rng(0).poisson(3.0, table.shape)
    table.uns["spatial"] = {"ST": {"scalefactors": {}, **about}}
    table.write_h5ad(folder / "foreign.h5ad")
    return folder / "foreign.h5ad"


RUNS = ("hires only", "full", "flat", "bins", "cells", "spatial data", "legacy", "cohort", "squidpy")
TABLES = ("HEST", "Xenium", "foreign spatial data")
SLIDES = ("tif", "svs", "ome.tif", "ome.zarr", "png", "jpg", "dicom")


@pytest.fixture(params=[*RUNS, *TABLES, *SLIDES])
def source(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_run: Make,
    legacy: Make,
    foreign: Make,
    write_dicom: Make,
) -> Section:
    folder = tmp_path / "input"
    folder.mkdir()
    kind: str = request.param
    if kind in SLIDES:
        return on_slide(open_slide(bare(folder, kind, write_dicom=write_dicom), mpp=0.5))
    if kind == "HEST":
        images = {"downscaled_fullres": picture()[::3, ::3]}
        factors = {"tissue_downscaled_fullres_scalef": 1 / 3, "spot_diameter_fullres": 50.0}
        own = {"images": images, "scalefactors": factors, "metadata": {"pixel_size_um_embedded": 0.5}}
        return open_section(placed_on(folder, **own))
    if kind == "Xenium":
        path = placed_on(folder, metadata={"pixel_size_um_embedded": 0.5})
        return open_section(path, slide=folder / "bare.svs")
    if kind == "squidpy":
        foreign().write_h5ad(folder / "foreign.h5ad")
        return open_section(folder / "foreign.h5ad")
    if kind in ("bins", "cells"):
        write_spaceranger_hd(simulate_hd(1, genes=14, mpp=2.0), folder / "hd")
        part = "segmented_outputs" if kind == "cells" else "binned_outputs/square_016um"
        return open_section(folder / "hd" / part)
    if kind == "foreign spatial data":
        return open_section(spatial_data(folder / "cells.zarr"))
    if kind in ("hires only", "full", "flat", "spatial data"):
        run = make_run(folder / "run").folder
        if kind == "flat":
            for path in (*(run / "spatial").iterdir(), *run.glob("*.h5")):
                (folder / f"GSM1_{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            shutil.rmtree(run)
            return open_section(folder)
        if kind == "full":
            tifffile.imwrite(folder / "full.tif", picture(1200, 1600), tile=(256, 256), photometric="rgb")
            return open_section(run, slide=folder / "full.tif")
        (run / "spatial" / "tissue_lowres_image.png").unlink()
        opened = open_section(run)
        if kind == "hires only":
            return opened
        pytest.importorskip("spatialdata")
        return open_section(write_section(opened, folder / "run.zarr"))
    files = legacy()
    if kind == "legacy":
        return read_legacy(files.counts, files.positions, files.slide)
    lines = f"section,patient,path,positions,slide\nA1,P,{files.counts},{files.positions},{files.slide}\n"
    (folder / "cohort.csv").write_text(lines)
    return read_cohort(folder / "cohort.csv")[0]


def spatial_data(path: Path) -> Path:
    """Cells in µm on an image in pixels of half a µm, under names of nobody's convention."""
    spatialdata = pytest.importorskip("spatialdata")
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale

    places = np.random.default_rng(2).uniform(50, 300, (120, 2))
    table = anndata.AnnData(np.random.default_rng(0).poisson(3.0, (120, 4)).astype(np.float32))
    table.obs = table.obs.assign(where="nuclei", which=np.arange(120))
    table.obs["where"] = table.obs["where"].astype("category")
    wide = {"aligned": Scale([2.0, 2.0], axes=("x", "y"))}
    shapes = ShapesModel.parse(places, geometry=0, radius=4.0, index=np.arange(120), transformations=wide)
    above = {"aligned": Identity()}
    image = Image2DModel.parse(np.moveaxis(picture(), -1, 0), dims=("c", "y", "x"), transformations=above)
    annotated = TableModel.parse(table, region="nuclei", region_key="where", instance_key="which")
    parts = {"images": {"he": image}, "shapes": {"nuclei": shapes}, "tables": {"expression": annotated}}
    spatialdata.SpatialData(**parts).write(path)
    return path


def same_pixels(one: Section, other: Section) -> None:
    """The tissue about the first spots is the same, to the precision of a reduced copy."""
    assert one.slide is not None
    assert other.slide is not None
    assert other.mpp == pytest.approx(one.mpp)
    np.testing.assert_allclose(other.centres, one.centres)
    for row, column in one.centres[:: len(one.centres) // 4]:
        area = Window(row - 50, column - 50, 100, 100)
        mpp = max(one.mpp, other.mpp) * 8
        left, right = one.slide.read(area, mpp), other.slide.read(area, mpp)
        assert np.abs(left.astype(int) - right.astype(int)).mean() < 6


@pytest.mark.parametrize("form", ["section", "table"])
def test_a_prediction_written_elsewhere_finds_its_pixels(
    source: Section, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = predicted(source)
    (tmp_path / "results").mkdir()
    write_section(made if form == "section" else made.table, tmp_path / "results" / "made.h5ad")
    (tmp_path / "somewhere").mkdir()
    monkeypatch.chdir(tmp_path / "somewhere")
    again = open_section(Path("..") / "results" / "made.h5ad")
    assert record_of(again.table).kind == "predicted"
    assert not any("slide" in warning for warning in again.warnings)
    same_pixels(made, again)


def test_a_section_moved_with_its_input_finds_its_pixels(source: Section, tmp_path: Path) -> None:
    made = predicted(source)
    write_section(made, tmp_path / "results" / "made.h5ad")
    for name in ("input", "results", "A1.png"):
        if (tmp_path / name).exists():
            (tmp_path / "moved").mkdir(exist_ok=True)
            shutil.move(tmp_path / name, tmp_path / "moved" / name)
    again = open_section(tmp_path / "moved" / "results" / "made.h5ad")
    assert again.slide is not None
    assert tmp_path / "moved" in again.slide.path.parents
    mean = [one.read(Window(0, 0, *one.shape), 16 * again.mpp).mean() for one in (again.slide,)]
    assert 0 < mean[0] < 255
    np.testing.assert_allclose(again.centres, made.centres)


@pytest.mark.parametrize("kind", SLIDES)
@pytest.mark.parametrize("form", ["section", "table"])
def test_the_slide_of_another_patient_with_the_same_name_is_never_taken(
    kind: str, form: str, tmp_path: Path, write_dicom: Make
) -> None:
    """Two folders alike in every name, then a result carried from one to the other."""
    made = {}
    for patient, blue in (("P", 40), ("Q", 220)):
        folder = tmp_path / patient / "slides"
        folder.mkdir(parents=True)
        section = predicted(on_slide(open_slide(bare(folder, kind, blue, write_dicom), mpp=0.5)))
        made[patient] = tmp_path / patient / "out" / "made.h5ad"
        write_section(section if form == "section" else section.table, made[patient])
    for patient, blue in (("P", 40), ("Q", 220)):
        assert blue_of(made[patient]) == pytest.approx(blue, abs=3)
    shutil.copy(made["P"], tmp_path / "Q" / "out" / "of_p.h5ad")
    assert blue_of(tmp_path / "Q" / "out" / "of_p.h5ad") == pytest.approx(40, abs=3)
    shutil.rmtree(tmp_path / "P")
    assert blue_of(tmp_path / "Q" / "out" / "of_p.h5ad") in (None, pytest.approx(40, abs=3))


@pytest.mark.parametrize("form", ["section", "table"])
def test_another_slide_that_is_named_for_a_prediction_is_doubted(form: str, tmp_path: Path) -> None:
    """By its content: a copy under another name is the same, another patient's of the same name is not."""
    for patient, blue in (("P", 40), ("Q", 220)):
        (tmp_path / patient).mkdir()
        bare(tmp_path / patient, "svs", blue)
    made = predicted(on_slide(open_slide(tmp_path / "P" / "bare.svs")))
    write_section(made if form == "section" else made.table, tmp_path / "made.h5ad")
    shutil.move(tmp_path / "P" / "bare.svs", tmp_path / "P" / "renamed.svs")
    lost = open_section(tmp_path / "made.h5ad")
    assert any("bare.svs is no longer there: name it" in warning for warning in lost.warnings)
    same = open_section(tmp_path / "made.h5ad", slide=tmp_path / "P" / "renamed.svs")
    assert not any("same tissue" in warning for warning in same.warnings)
    same_pixels(same, same)
    (tmp_path / "cohort.csv").write_text("section,patient,path,slide\nX,Q,made.h5ad,Q/bare.svs\n")
    for other in (
        open_section(tmp_path / "made.h5ad", slide=tmp_path / "Q" / "bare.svs"),
        read_cohort(tmp_path / "cohort.csv")[0],
    ):
        assert (
            "bare does not hold what bare.svs did, which the spots were placed on: is it the same tissue?"
            in (other.warnings)
        )


@pytest.mark.parametrize("link", ["the slide", "the prediction", "the folder"])
def test_links_are_followed_when_written_and_may_go(link: str, tmp_path: Path) -> None:
    """What is kept is where the slide lies, not the link that led to it."""
    (tmp_path / "store").mkdir()
    (tmp_path / "work").mkdir()
    slide = bare(tmp_path / "store", "svs", 40)
    places = {
        "the slide": (tmp_path / "work" / "link.svs", slide),
        "the folder": (tmp_path / "in", tmp_path / "store"),
    }
    if link in places:
        places[link][0].symlink_to(places[link][1])
    named = {"the slide": tmp_path / "work" / "link.svs", "the folder": tmp_path / "in" / "bare.svs"}
    write_section(
        predicted(on_slide(open_slide(named.get(link, slide)))).table, tmp_path / "work" / "made.h5ad"
    )
    if link in places:
        places[link][0].unlink()
        assert blue_of(tmp_path / "work" / "made.h5ad") == pytest.approx(40, abs=3)
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "made.h5ad").symlink_to(tmp_path / "work" / "made.h5ad")
        assert blue_of(tmp_path / "elsewhere" / "made.h5ad") == pytest.approx(40, abs=3)


def blue_of(path: Path) -> float | None:
    """The mean blue of the slide beneath; None without one."""
    slide = open_section(path).slide
    return None if slide is None else float(slide.read(Window(0, 0, 900, 700), 4.0)[..., 2].mean())


def test_another_slide_of_the_same_name_is_refused(legacy: Make, png: Make, tmp_path: Path) -> None:
    files = legacy()
    made = predicted(read_legacy(files.counts, files.positions, files.slide))
    write_section(made, tmp_path / "section.h5ad")
    write_section(made.table, tmp_path / "table.h5ad")
    noise = np.random.default_rng(1).integers(0, 255, (420, 380, 3), dtype=np.uint8)
    files.slide.write_bytes(imagecodecs.png_encode(noise))
    section, table = open_section(tmp_path / "section.h5ad"), open_section(tmp_path / "table.h5ad")
    for again in (section, table):
        assert any("is not the slide that the spots were placed on" in warning for warning in again.warnings)
    assert table.slide is None
    assert section.slide is not None
    assert section.slide.path == tmp_path / "section.h5ad"


def test_a_slide_of_the_same_name_in_the_results_folder_is_not_taken(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    made = predicted(read_legacy(files.counts, files.positions, files.slide))
    (tmp_path / "results").mkdir()
    write_section(made.table, tmp_path / "results" / "made.h5ad")
    noise = np.random.default_rng(1).integers(0, 255, (420, 380, 3), dtype=np.uint8)
    (tmp_path / "results" / files.slide.name).write_bytes(imagecodecs.png_encode(noise))
    again = open_section(tmp_path / "results" / "made.h5ad")
    assert again.slide is not None
    assert again.slide.path == files.slide


@pytest.mark.parametrize("place", ["https://a.b/c.tif", "//server/share/c.tif"])
def test_a_slide_on_another_machine_is_not_asked_for(place: str, tmp_path: Path, foreign: Make) -> None:
    table = foreign()
    table.uns["histoscribe"] = {"record_version": 1, "slide": place, "slide_sha256": "ab" * 32}
    table.write_h5ad(tmp_path / "made.h5ad")
    again = open_section(tmp_path / "made.h5ad")
    assert any("lies on another machine" in warning for warning in again.warnings)
