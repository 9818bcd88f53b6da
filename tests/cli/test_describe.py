"""Many slides in one run: descriptors kept, failures reported, and what predict and train make of it."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoscribe.features import BuiltinEncoder, storing
from histoscribe.predictor import encode_section
from histoscribe.section import read_cohort


@pytest.fixture
def slides(cohort: Path, tmp_path: Path) -> list[Path]:
    """Two good slides, a cut one between them, and one that is not there."""
    good, cut, other = (tmp_path / f"{name}.tif" for name in ("good", "cut", "other"))
    shutil.copy(cohort.parent / "S1.tif", good)
    shutil.copy(cohort.parent / "S2.tif", other)
    cut.write_bytes(good.read_bytes()[:20_000])
    return [good, cut, other, tmp_path / "gone.tif"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many crops each call of the built-in encoder described."""
    counts: list[int] = []
    encode = BuiltinEncoder.encode

    def counting(self: BuiltinEncoder, crops: np.ndarray) -> np.ndarray:
        counts.append(len(crops))
        return encode(self, crops)

    monkeypatch.setattr(BuiltinEncoder, "encode", counting)
    return counts


def records(result) -> dict[str, dict]:
    return {Path(entry["target"]).name: entry for entry in json.loads(result.stdout)["records"]}


def test_a_slide_that_fails_is_reported_and_the_rest_goes_on(
    shell: Callable, slides: list[Path], tmp_path: Path, asked: list[int]
) -> None:
    words = ("describe", *slides, "--store", tmp_path / "store", "--grid-um", 100, "--mpp", 1, "--json")
    first = shell(*words)
    assert first.exit_code == 2
    found = records(first)
    assert [entry["outcome"] for entry in found.values()] == ["done", "failed", "done", "failed"]
    assert found["gone.tif"]["problem"] == "there is no such file or folder"
    assert found["cut.tif"]["problem"]
    assert str(slides[1]) in first.stderr
    facts = found["good.tif"]["facts"]
    assert facts["tiles"] == sum(asked) / 2
    assert facts["reused"] == facts["damaged"] == facts["repeated"] == 0
    asked.clear()
    again = shell(*words)
    assert asked == []
    facts = records(again)["other.tif"]["facts"]
    assert facts["reused"] == facts["chunks"] > 0


def test_the_table_tells_of_every_slide(shell: Callable, slides: list[Path], tmp_path: Path) -> None:
    words = ("--store", tmp_path / "store", "--grid-um", 200, "--mpp", 1)
    result = shell("describe", *slides[:2], *words)
    lines = [line for line in result.stdout.splitlines() if ".tif" in line]
    assert ["done" in lines[0], "failed" in lines[1]] == [True, True]
    assert shell("describe", slides[0], *words).exit_code == 0


@pytest.mark.slow
def test_predict_and_train_reuse_what_was_described(
    shell: Callable, cohort: Path, model: Path, tmp_path: Path, asked: list[int]
) -> None:
    store = ("--store", tmp_path / "store")
    described = shell("describe", cohort, "--encoder", "builtin", *store, "--json")
    assert described.exit_code == 0, described.stderr
    assert list(records(described)) == ["S1", "S2", "S3"]
    asked.clear()
    out = ("--section", "S3", "--out", tmp_path / "p.h5ad")
    predicted = shell("predict", model, cohort, *out, *store)
    assert predicted.exit_code == 0, predicted.stderr
    with storing(tmp_path / "store"):
        encode_section(read_cohort(cohort)[0], BuiltinEncoder())
    assert asked == []


@pytest.mark.slow
def test_several_targets_are_predicted_into_a_folder_once(
    shell: Callable, model: Path, slides: list[Path], tmp_path: Path, asked: list[int], monkeypatch
) -> None:
    out = tmp_path / "out"
    words = ("predict", model, *slides, "--out", out, "--grid-um", 100, "--mpp", 1, "--json")
    monkeypatch.setattr("histoscribe.section.write_section", full_disk)
    stopped = shell(*words)
    assert [entry["outcome"] for entry in records(stopped).values()] == ["failed", *["not started"] * 3]
    assert "free some space" in records(stopped)["good.tif"]["remedy"]
    monkeypatch.undo()
    result = shell(*words)
    assert result.exit_code == 2
    results = {"good.h5ad", "other.h5ad", "features"}
    assert {path.name for path in out.iterdir()} == {*results, "done.jsonl", "targets.csv", "index.html"}
    found = records(result)
    assert [entry["outcome"] for entry in found.values()] == ["done", "failed", "done", "failed"]
    assert found["good.tif"]["facts"]["spots"] > 0
    table = pd.read_csv(out / "targets.csv", dtype={"spots": str})
    assert table["spots"][0] == str(found["good.tif"]["facts"]["spots"])
    assert list(table["outcome"]) == ["done", "failed", "done", "failed"]
    assert table["problem"][3] == "there is no such file or folder"
    page = (out / "index.html").read_text()
    assert all(text in page for text in ('href="good.h5ad"', "cut.tif", table["verdict_sentence"][0]))
    asked.clear()
    with (out / "done.jsonl").open("a") as stream:
        stream.write('{"key": "torn')
    slides[2].write_bytes(slides[0].read_bytes())
    again = records(shell(*words))
    assert [entry["outcome"] for entry in again.values()] == ["done before", "failed", "done", "failed"]
    assert asked == []  # the other slide now holds what the first one does


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "there")


@pytest.mark.parametrize(
    ("out", "says"), [("p.h5ad", "need a folder"), ("twice", "two results would be called good.h5ad")]
)
def test_results_that_have_no_place_are_refused_at_once(
    shell: Callable, model: Path, slides: list[Path], tmp_path: Path, out: str, says: str
) -> None:
    (tmp_path / "sub").mkdir()
    other = tmp_path / "sub" / "good.png" if out == "twice" else slides[2]
    result = shell("predict", model, slides[0], other, "--out", tmp_path / out)
    assert result.exit_code == 2
    assert says in result.stderr


def test_no_scheduler_is_said(shell: Callable, slides: list[Path], tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra 'cluster'")
    monkeypatch.setattr("histoscribe.features.tasks.ANSWER_S", 1)
    words = ("--store", tmp_path / "store", "--scheduler", "127.0.0.1:1")
    result = shell("describe", slides[0], *words)
    assert result.exit_code == 2
    assert "no Dask scheduler answers there" in result.stderr


def test_a_model_keeps_to_the_encoder_it_was_trained_with(
    shell: Callable, cohort: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra 'foundation'")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    for name, size in (("tiny", 32), ("other", 64)):
        config = transformers.ViTConfig(**small, image_size=size, patch_size=16)
        transformers.ViTModel(config).save_pretrained(tmp_path / name)
    tiny, trained = tmp_path / "tiny", tmp_path / "model"
    store = ("--store", tmp_path / "store")
    options = ("--only", "S1", "--panel-size", 5, "--epochs", 1, "--encoder", tiny, *store)
    result = shell("train", "predictor", cohort, "--out", trained, *options)
    assert result.exit_code == 0, result.stderr
    assert list((tmp_path / "store").glob("*.zarr"))
    card = json.loads((trained / "card.json").read_text())
    assert card["encoder"].startswith("tiny@")
    assert (card["crop_um"], card["mpp"]) == (16, 0.5)
    words = ("predict", trained, cohort, "--section", "S3", "--out", tmp_path / "p.h5ad")
    moved = tiny.rename(tmp_path / "moved")
    assert shell(*words, "--encoder", moved).exit_code == 0
    refused = shell(*words, "--encoder", tmp_path / "other")
    assert refused.exit_code == 2
    assert f"needs the encoder {card['encoder']}, not other@" in refused.stderr
    shutil.rmtree(moved)
    lost = shell(*words)
    assert lost.exit_code == 2
    assert "--encoder" in lost.stderr
