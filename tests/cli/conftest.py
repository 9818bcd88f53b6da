"""Small handmade sections, a small model, and the shell to run verbs in."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import typer
from click.testing import CliRunner

from histoscribe.cli.app import app

SIDE = 640
PITCH = 64
GENES = 30


@pytest.fixture(scope="session")
def shell(polite: Callable) -> Callable:
    """Run a verb in this process: `shell("info", path)` → result with exit_code, stdout, stderr.

    However it ends, it must leave the process as it found it.
    """
    command = typer.main.get_command(app)  # typer's own runner builds it anew for each call

    def run(*words: object):
        with polite():
            return CliRunner().invoke(command, [str(word) for word in words], prog_name="histoscribe")

    return run


def draw_slide(path: Path, rng: np.random.Generator) -> np.ndarray:
    """Write tissue that gets darker to the right; return the darkness, shape (SIDE, SIDE)."""
    grain = rng.normal(0, 10, (SIDE, SIDE))
    darkness = np.clip(np.linspace(20, 140, SIDE)[None, :] + grain, 0, 200)
    image = np.stack([235 - darkness, 200 - darkness, 230 - darkness / 2], axis=-1)
    tifffile.imwrite(path, image.clip(0, 255).astype(np.uint8), tile=(256, 256), photometric="rgb")
    return darkness


def write_legacy(folder: Path, name: str, seed: int, *, prefix: str = "G") -> None:
    """Write one legacy section: `name.tif`, `name.tsv.gz`, `name_spots.tsv`."""
    rng = np.random.default_rng(seed)
    darkness = draw_slide(folder / f"{name}.tif", rng)
    steps = np.arange(1, SIDE // PITCH)
    header = "\t".join(["", *(f"{prefix}{gene}" for gene in range(GENES))])
    counts, spots = [header], ["x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected"]
    loading = np.linspace(-1, 1, GENES)
    for row in steps:
        for column in steps:
            shade = darkness[row * PITCH, column * PITCH] / 140
            drawn = rng.poisson(20 * np.exp(loading * (shade - 0.5) * 2))
            counts.append("\t".join([f"{column}x{row}", *map(str, drawn)]))
            spots.append(f"{column}\t{row}\t{column}\t{row}\t{column * PITCH}\t{row * PITCH}\t1")
    with gzip.open(folder / f"{name}.tsv.gz", "wt") as stream:
        stream.write("\n".join(counts) + "\n")
    (folder / f"{name}_spots.tsv").write_text("\n".join(spots) + "\n")


def write_cohort(folder: Path, names: dict[str, str]) -> Path:
    """Write `cohort.csv` for sections already in `folder`: name → patient."""
    lines = ["section,patient,path,positions,slide,pitch_um,spot_um"]
    lines += [f"{n},{p},{n}.tsv.gz,{n}_spots.tsv,{n}.tif,200,100" for n, p in names.items()]
    path = folder / "cohort.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_space_ranger(folder: Path, *, barcodes: list[str], placed: list[str] | None) -> Path:
    """Write a Space Ranger 2 folder with counts for `barcodes` and positions for `placed` (None: no file)."""
    spatial = folder / "spatial"
    spatial.mkdir(parents=True)
    factors = {"spot_diameter_fullres": 35.0, "tissue_hires_scalef": 1.0, "tissue_lowres_scalef": 0.3}
    (spatial / "scalefactors_json.json").write_text(
        json.dumps({**factors, "fiducial_diameter_fullres": 60.0})
    )
    if placed is not None:
        lines = ["barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres"]
        for number, barcode in enumerate(placed):
            row, column = divmod(number, 8)
            lines.append(f"{barcode},1,{row},{2 * column},{64 + 64 * row},{64 + 64 * column}")
        (spatial / "tissue_positions.csv").write_text("\n".join(lines) + "\n")
    counts = np.arange(1, len(barcodes) * 3 + 1, dtype=np.int32)
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(barcodes, dtype="S")
        matrix["data"] = counts
        matrix["indices"] = np.tile(np.arange(3), len(barcodes)).astype(np.int64)
        matrix["indptr"] = np.arange(0, len(counts) + 1, 3).astype(np.int64)
        matrix["shape"] = np.array([3, len(barcodes)], dtype=np.int32)
        features = matrix.create_group("features")
        for key, values in {
            "id": ["E1", "E2", "E3"],
            "name": ["A", "B", "C"],
            "feature_type": ["Gene Expression"] * 3,
            "genome": ["GRCh38"] * 3,
        }.items():
            features[key] = np.array(values, dtype="S")
    return folder


@pytest.fixture(scope="session")
def space_ranger() -> Callable:
    """`write_space_ranger`, for tests of what is missing in such a folder."""
    return write_space_ranger


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort CSV of three legacy sections S1 (patient P), S2 (P), S3 (Q): 81 spots, 30 genes each."""
    folder = tmp_path_factory.mktemp("cohort")
    names = {"S1": "P", "S2": "P", "S3": "Q"}
    for seed, name in enumerate(names):
        write_legacy(folder, name, seed)
    return write_cohort(folder, names)


@pytest.fixture(scope="session")
def model(cohort: Path, shell: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for two epochs on S1 and S2, through the shell."""
    folder = tmp_path_factory.mktemp("model") / "model"
    options = ("--exclude", "S3", "--panel-size", 12, "--epochs", 2, "--encoder", "builtin", "--out", folder)
    result = shell("train", "predictor", cohort, *options)
    assert result.exit_code == 0, result.stderr
    return folder
