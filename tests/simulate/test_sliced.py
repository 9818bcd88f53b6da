"""A Visium HD run from feature_slice.h5 alone is the run that its folders of bins hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histoscribe.errors import Cancelled, SectionError
from histoscribe.progress import Progress
from histoscribe.section import open_section
from histoscribe.section.raster import raster_of
from histoscribe.section.readers.feature_slice import open_feature_slice


@pytest.fixture
def alone(hd_folder: Path, tmp_path: Path) -> Path:
    """The file without its run."""
    return Path(shutil.copy(hd_folder / "outs" / "feature_slice.h5", tmp_path / "P1_feature_slice.h5"))


@pytest.mark.parametrize("bin_um", [2, 8, 16])
def test_it_equals_the_folder_of_bins(hd_folder: Path, bin_um: int) -> None:
    wanted = open_section(hd_folder, bin_um=bin_um)
    found = open_section(hd_folder / "outs" / "feature_slice.h5", bin_um=bin_um)
    assert found.genes == wanted.genes
    rows = wanted.table.obs_names.get_indexer(found.table.obs_names)
    assert sorted(rows) == list(range(wanted.table.n_obs))
    assert abs(wanted.table.X[rows] - found.table.X).sum() == 0
    np.testing.assert_allclose(found.centres, wanted.centres[rows], atol=1e-6)
    assert found.name == wanted.name
    assert found.mpp == pytest.approx(wanted.mpp)
    assert (found.spot_um, found.pitch_um) == (bin_um, bin_um)
    assert (found.slide.shape, found.alignment) == (wanted.slide.shape, wanted.alignment)
    assert found.warnings == wanted.warnings
    assert list(found.table.var["gene_ids"]) == list(wanted.table.var["gene_ids"])


def test_any_multiple_of_2_um_keeps_all_counts(hd_folder: Path, alone: Path) -> None:
    finest = open_section(hd_folder, bin_um=2).table.X.sum()
    for bin_um in (4.0, 10.0, 30.0):
        section = open_section(alone, bin_um=bin_um)
        assert section.table.X.sum() == finest
        assert raster_of(section).step_um == pytest.approx(bin_um)
    with pytest.raises(SectionError, match="choose a multiple of 2"):
        open_section(alone, bin_um=5)


def test_a_run_without_folders_of_bins_is_read_from_it(hd_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "S1"
    run.mkdir()
    shutil.copy(hd_folder / "outs" / "feature_slice.h5", run)
    section = open_section(run)
    assert (section.name, section.spot_um, section.slide) == ("S1", 8, None)
    assert section.warnings == ("there is no image",)


def test_it_can_be_stopped(alone: Path) -> None:
    steps: list[int] = []
    progress = Progress(lambda step: (steps.append(step.done), progress.cancel()))
    with pytest.raises(Cancelled):
        open_feature_slice(alone, progress=progress)
    assert len(steps) == 1


def about(file: Any, **changes: Any) -> None:
    file.attrs["metadata_json"] = json.dumps(json.loads(file.attrs["metadata_json"]) | changes)


def drop(name: str) -> Callable[[Any], None]:
    return lambda file: file.__delitem__(name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("masks/filtered"), "which bins lie on tissue"),
        (drop("features/id"), "no feature_slice.h5"),
        (lambda file: about(file, spot_pitch=4), "bins of 4 µm"),
        (lambda file: about(file, transform_matrices=[1]), "where its bins lie"),
        (
            lambda file: about(file, transform_matrices={"spot_colrow_to_microscope_colrow": [[1]]}),
            "where its",
        ),
        (
            lambda file: about(
                file, transform_matrices={"spot_colrow_to_microscope_colrow": np.zeros((3, 3)).tolist()}
            ),
            "where its",
        ),
    ],
)
def test_damage_is_named(alone: Path, change: Callable[[Any], None], words: str) -> None:
    with h5py.File(alone, "r+") as file:
        change(file)
    with pytest.raises(SectionError, match=words):
        open_section(alone)
