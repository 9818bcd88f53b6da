"""Xenium's output folders of several versions, and their alignment with an H&E image."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from histoscribe.errors import SectionError
from histoscribe.formats import kind_of
from histoscribe.section import open_section
from histoscribe.slide import open_slide

CELLS, PIXEL = 60, 0.2125
FEATURES = [
    ("ENSG1", "EPCAM", "Gene Expression"),
    ("ENSG2", "KRT8", "Gene Expression"),
    ("NegControlProbe_00042", "NegControlProbe_00042", "Negative Control Probe"),
    ("UnassignedCodeword_0001", "UnassignedCodeword_0001", "Unassigned Codeword"),
]
Make = Callable[..., pd.DataFrame]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "output-XETG00000__0001__Région 1"


@pytest.fixture
def make(folder: Path, write_tenx: Callable[..., None]) -> Make:
    def made(*, ids: str = "words", form: str = "parquet", pixel: float | None = None) -> pd.DataFrame:
        random = np.random.default_rng(0)
        folder.mkdir()
        numbers = range(1, CELLS + 1)
        names: list[Any] = list(numbers) if ids == "numbers" else [f"aaab{one:04d}-1" for one in numbers]
        places = random.uniform(20, [400, 300], (CELLS, 2))
        columns = {"cell_id": names, "x_centroid": places[:, 0], "y_centroid": places[:, 1]}
        cells = pd.DataFrame(columns | {"transcript_counts": 5, "cell_area": 78.5, "nucleus_area": 20.0})
        counts = random.poisson(3.0, (CELLS, len(FEATURES)))
        counts[5] = 0
        write_tenx(folder / "cell_feature_matrix.h5", counts, [str(name) for name in names], FEATURES)
        written = cells.sample(frac=1, random_state=1)
        if ids == "bytes":
            written["cell_id"] = [name.encode() for name in written["cell_id"]]
        if ids == "dictionary":
            written["cell_id"] = written["cell_id"].astype("category")
        if form == "parquet":
            written.to_parquet(folder / "cells.parquet", index=False)
        else:
            (folder / "cells.csv.gz").write_bytes(gzip.compress(written.to_csv(index=False).encode()))
        about: dict[str, Any] = {"major_version": 5, "analysis_sw_version": "xenium-3.1.0.0"}
        about |= {} if pixel is None else {"pixel_size": pixel}
        (folder / "experiment.xenium").write_text(json.dumps(about))
        return cells.assign(EPCAM=counts[:, 0])

    return made


@pytest.fixture
def he(folder: Path) -> Path:
    path = folder.parent / "he.ome.tif"
    tifffile.imwrite(path, np.full((2000, 2000, 3), 200, np.uint8), tile=(256, 256), photometric="rgb")
    return path


@pytest.mark.parametrize(
    ("ids", "form"),
    [
        ("words", "parquet"),
        ("numbers", "csv"),
        ("bytes", "parquet"),
        ("dictionary", "parquet"),
    ],
)
def test_cells_lie_in_pixels_of_xeniums_image(ids: str, form: str, make: Make, folder: Path) -> None:
    cells = make(ids=ids, form=form)
    assert kind_of(folder) == kind_of(folder / "experiment.xenium") == "section"
    found = open_section(folder / "experiment.xenium")
    assert found.name == folder.name
    assert (found.mpp, found.pitch_um) == (PIXEL, None)
    assert found.spot_um == pytest.approx(10, rel=0.01)
    assert found.genes == ["EPCAM", "KRT8"]
    assert list(found.table.obs_names) == list(cells["cell_id"].astype(str))
    np.testing.assert_allclose(found.centres_um, cells[["y_centroid", "x_centroid"]])
    np.testing.assert_array_equal(found.table.X[:, 0].toarray().ravel(), cells["EPCAM"])
    assert any("2 features are no genes" in warning for warning in found.warnings)


@pytest.mark.parametrize("mirror", [1, -1])
def test_cells_are_laid_on_the_he_by_its_alignment(mirror: int, make: Make, folder: Path, he: Path) -> None:
    cells = make()
    turn, scale = 0.4, 1.6
    to_xenium = np.eye(3)
    to_xenium[:2, :2] = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    to_xenium[:2, 0] *= mirror
    middle = np.array([900.0, 700.0])
    to_xenium[:2, 2] = middle - to_xenium[:2, :2] @ [1000, 1000]
    np.savetxt(folder / "Sample_he_imagealignment.csv", to_xenium, delimiter=",")
    found = open_section(folder, slide=open_slide(he, mpp=scale * PIXEL))
    assert found.mpp == pytest.approx(scale * PIXEL)
    assert found.spot_um == pytest.approx(10, rel=0.01)
    back = np.column_stack([found.table.obsm["spatial"], np.ones(CELLS)]) @ to_xenium.T
    np.testing.assert_allclose(back[:, :2] * PIXEL, cells[["x_centroid", "y_centroid"]])


def test_a_slide_without_an_alignment_is_doubted(make: Make, folder: Path, he: Path) -> None:
    make()
    found = open_section(folder, slide=he)
    assert any("there is no *imagealignment.csv" in warning for warning in found.warnings)


@pytest.mark.parametrize("text", ["1,0,0\n0,1,0\n5,7,1\n", "1,0\n0,1\n", "a,b,c\n", "0,0,0\n0,0,0\n0,0,1\n"])
def test_what_is_no_alignment_is_refused(text: str, make: Make, folder: Path, he: Path) -> None:
    make()
    (folder / "he_imagealignment.csv").write_text(text)
    with pytest.raises(SectionError, match="not an alignment"):
        open_section(folder, slide=he)


def test_cells_that_cannot_be_read_are_named(make: Make, folder: Path) -> None:
    cells = make(form="csv")
    table = folder / "cells.csv.gz"
    table.write_bytes(gzip.compress(cells.drop(columns="cell_area").to_csv(index=False).encode()))
    with pytest.raises(SectionError, match="not a whole table of cells"):
        open_section(folder)
    table.write_bytes(gzip.compress(cells[:20].to_csv(index=False).encode()))
    with pytest.raises(SectionError, match="40 of 60 cells with counts have no outline"):
        open_section(folder)
    table.write_bytes(gzip.compress(cells[1:].to_csv(index=False).encode()))
    assert any("left out: aaab0001-1" in warning for warning in open_section(folder).warnings)
    table.unlink()
    (folder / "cells.parquet").write_bytes(b"PAR1")
    with pytest.raises(SectionError, match="not a whole parquet file"):
        open_section(folder)


def test_the_manifest_states_the_pixel(make: Make, folder: Path) -> None:
    cells = make(pixel=0.425)
    found = open_section(folder)
    assert found.mpp == 0.425
    np.testing.assert_allclose(found.centres_um, cells[["y_centroid", "x_centroid"]])


def test_counts_are_read_as_a_matrix_market_folder_too(
    make: Make, folder: Path, write_tenx_folder: Callable[..., None]
) -> None:
    cells = make()
    counts = np.zeros((CELLS, len(FEATURES)), int)
    counts[:, 0] = cells["EPCAM"]
    (folder / "cell_feature_matrix.h5").unlink()
    write_tenx_folder(folder / "cell_feature_matrix", counts, list(cells["cell_id"]), FEATURES)
    found = open_section(folder)
    np.testing.assert_array_equal(found.table.X[:, 0].toarray().ravel(), cells["EPCAM"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cell_feature_matrix.zarr.zip", "only cell_feature_matrix.zarr.zip, which is not read; copy"),
        ("cell_feature_matrix.zarr", "only cell_feature_matrix.zarr, which is not read; copy"),
        ("cell_feature_matrix.tar.gz", "which is not read; unpack cell_feature_matrix.tar.gz"),
    ],
)
def test_counts_in_another_form_are_named(name: str, words: str, make: Make, folder: Path) -> None:
    make()
    (folder / "cell_feature_matrix.h5").rename(folder / name)
    with pytest.raises(SectionError, match=words):
        open_section(folder)


def test_landmarks_are_no_alignment(make: Make, folder: Path, he: Path) -> None:
    make()
    (folder / "he_keypoints.csv").write_text("fixedX,fixedY,alignmentX,alignmentY\n1,2,3,4\n")
    assert open_section(folder).table.n_obs == CELLS
    with pytest.raises(SectionError, match=r"landmarks, not the alignment .*export the image alignment"):
        open_section(folder, slide=he)
