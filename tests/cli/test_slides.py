"""Labels of slides through the shell: learned from a cohort, told of a slide, with its tiles written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile

from histoscribe.formats import kind_of, open as open_any
from histoscribe.labeller import Labeller
from histoscribe.record import record_of

SIDE, SLIDES = 224, 12


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small slides of as many patients; every other one is redder."""
    folder, random = tmp_path_factory.mktemp("slides"), np.random.default_rng(0)
    lines, labels = ["section,patient,path"], ["patient,kind,level,same,id"]
    for number in range(SLIDES):
        red = number % 2
        image = np.array([150 + 60 * red, 90, 170 - 60 * red]) + random.normal(0, 15, (SIDE, SIDE, 3))
        pixels = np.full((2 * SIDE, 2 * SIDE, 3), 245, dtype=np.uint8)
        pixels[SIDE // 2 : -SIDE // 2, SIDE // 2 : -SIDE // 2] = image.clip(0, 255)
        tifffile.imwrite(folder / f"s{number}.tif", pixels, tile=(256, 256), photometric="rgb")
        lines.append(f"s{number},p{number},s{number}.tif")
        labels.append(
            f"p{number},{['blue', 'red'][red]},{number + 0.5 * random.random():.3f},one,{number + 7}"
        )
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    (folder / "labels.csv").write_text("\n".join([*labels, "p99,red,1,one,99"]) + "\n")
    return folder / "cohort.csv"


@pytest.mark.slow
def test_labels_are_learned_told_and_shown(cohort: Path, shell: Callable, tmp_path: Path) -> None:
    folder, model, store = cohort.parent, tmp_path / "model", tmp_path / "store"
    shared = ("--store", store, "--mpp", 1.0)
    described = shell("describe", cohort, *shared, "--json")
    assert described.exit_code == 0, described.stderr
    result = shell(
        "train", "slides", cohort, "--labels", folder / "labels.csv", "--label", "kind", "--label", "level",
        "--out", model, "--steps", 8, "--pooling", "mean", *shared, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["labels"] == ["kind (two classes)", "level (number)"]
    assert told["held_out"]["kind"].keys() >= {"auc", "low", "high", "chance", "mean_pooling", "patients"}
    assert "p99" in result.stderr
    assert "12 patients" in result.stderr
    assert kind_of(model) == "model"
    assert isinstance(open_any(model), Labeller)
    assert json.loads(shell("info", model, "--json").stdout)["model"] == "labeller, mean"
    out, tiles, squares = (tmp_path / name for name in ("told.csv", "tiles.h5ad", "tiles.geojson"))
    for attention in (tiles, squares):
        result = shell(
            "classify", folder / "s0.tif", "--model", model, "--out", out, "--attention", attention, *shared
        )
        assert result.exit_code == 0, result.stderr
    rows = pd.read_csv(out, index_col="label")
    sha = Labeller.load(model).card.sha256
    assert (rows["model"] == sha).all()
    assert rows.loc["kind", ["P(blue)", "P(red)"]].sum() == pytest.approx(1, abs=1e-4)
    assert rows.loc["level", "low"] < rows.loc["level", "high"]
    table = anndata.read_h5ad(tiles)
    assert record_of(table).model_sha256 == sha
    assert "--attention" in record_of(table).command
    assert table.layers["attention"].sum(axis=0) == pytest.approx(1, abs=1e-4)
    content = json.loads(squares.read_text())
    assert content["histoscribe"]["model_sha256"] == sha
    assert len(content["features"]) == table.n_obs
    assert "attention: kind" in content["features"][0]["properties"]["measurements"]
    result = shell("classify", cohort, "--model", model, "--out", tmp_path / "all.json", *shared)
    assert result.exit_code == 0, result.stderr
    whole = json.loads((tmp_path / "all.json").read_text())
    assert len(whole["rows"]) == 2 * SLIDES
    assert (whole["model"], whole["failed"]) == (sha, {})
    check_what_cannot_be_told(cohort, shell, model, tmp_path)


def check_what_cannot_be_told(cohort: Path, shell: Callable, model: Path, tmp_path: Path) -> None:
    """Of three slides one cannot be read: it is named, the others are told; alone it is refused."""
    (tmp_path / "cut.tif").write_bytes((cohort.parent / "s1.tif").read_bytes()[:900])
    lines = [f"s{number},p{number},{cohort.parent}/s{number}.tif" for number in (0, 2)]
    few, none = tmp_path / "few.csv", tmp_path / "none.csv"
    few.write_text("\n".join(["section,patient,path", lines[0], "cut,p1,cut.tif", lines[1]]) + "\n")
    none.write_text("section,patient,path\ncut,p1,cut.tif\nagain,p1,cut.tif\n")
    out, words = tmp_path / "few.told.csv", ("--model", model, "--mpp", 1.0)
    result = shell("classify", few, *words, "--out", out, "--json")
    assert result.exit_code == 2
    assert "cut.tif" in result.stderr
    told = json.loads(result.stdout)
    assert (told["slides"], list(told["failed"])) == (2, ["cut"])
    assert list(pd.read_csv(out)["slide"].unique()) == ["s0", "s2"]
    for target, says in ((none, "no slide of the cohort could be told"), (tmp_path / "cut.tif", "cut.tif")):
        result = shell("classify", target, *words, "--out", tmp_path / "none.told.csv")
        assert result.exit_code == 2
        assert says in result.stderr.splitlines()[-1]
        assert not (tmp_path / "none.told.csv").exists()
    result = shell("classify", few, *words, "--out", out, "--no-adapt", "--explain", "--scale", "log2")
    assert result.exit_code == 2
    assert "tells slides, not samples; leave --explain and --scale and --adapt out" in result.stderr


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("same", "one class cannot be learned"),
        ("id", "as an identifier has"),
        ("stage", "no label is called"),
    ],
)
def test_bad_labels_are_a_sentence(
    cohort: Path, shell: Callable, tmp_path: Path, label: str, said: str
) -> None:
    labels = cohort.with_name("labels.csv")
    result = shell(
        "train", "slides", cohort, "--labels", labels, "--label", label, "--mpp", 1.0,
        "--out", tmp_path / "m", "--store", tmp_path / "store",
    )  # fmt: skip
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == [], "slides were described in vain"
