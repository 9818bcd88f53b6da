"""Saved models: what is written is read back, and what was tampered with is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from histoscribe.errors import ModelError
from histoscribe.models import (
    CARD_FILE,
    WEIGHTS_FILE,
    Card,
    TrainingSection,
    load_model,
    read_card,
    require_shapes,
    save_model,
    weights_hash,
)

TENSORS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, 2], dtype=np.int64)}


def a_card(**changes) -> Card:
    card = Card(
        kind="predictor",
        variant="histoscribe",
        genes=("ERBB2", "CD8A"),
        target="log",
        panel_rule="given",
        training=(TrainingSection("C2", "C"), TrainingSection("C3", "C")),
        licence="CC-BY-4.0",
        seed=3,
        mpp=1.0,
        crop_um=200.0,
        encoder="builtin",
        held_out={"ERBB2": {"r": 0.5, "low": 0.4, "high": 0.6}},
        settings={"width": 8},
    )
    return replace(card, **changes)


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "model", TENSORS, a_card())
    return tmp_path / "model"


def rewrite(folder, change):
    path = folder / CARD_FILE
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_round_trip(folder):
    tensors, card = load_model(folder, kind="predictor")
    assert sorted(path.name for path in folder.iterdir()) == [CARD_FILE, WEIGHTS_FILE]
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], value)
    assert card == replace(a_card(), sha256=weights_hash(TENSORS), created=card.created)
    assert card.patients == ("C",)
    assert card.versions["numpy"] == np.__version__


def test_saving_over_a_model_replaces_it(folder):
    save_model(folder, {"a": np.zeros(1, np.float32)}, a_card(seed=4))
    assert read_card(folder).seed == 4
    assert list(load_model(folder)[0]) == ["a"]


def test_nothing_else_is_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(ModelError, match="something else"):
        save_model(tmp_path / "thesis", TENSORS, a_card())
    assert (tmp_path / "thesis" / "chapter.txt").exists()


def test_exchanged_weights_are_refused(folder):
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(ModelError, match="do not match the card"):
        load_model(folder)


def test_weights_that_are_no_safetensors_are_refused(folder):
    import hashlib

    (folder / WEIGHTS_FILE).write_bytes(b"\x80\x04pickle")
    rewrite(folder, lambda card: card.update(sha256=hashlib.sha256(b"\x80\x04pickle").hexdigest()))
    with pytest.raises(ModelError, match="no safetensors file"):
        load_model(folder)


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_missing_files_are_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"no {name}"):
        load_model(folder)


def test_no_folder(tmp_path):
    with pytest.raises(ModelError, match="no model's folder"):
        load_model(tmp_path / "nowhere")


def test_another_kind_is_refused(folder):
    with pytest.raises(ModelError, match="imputer is needed"):
        load_model(folder, kind="imputer")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.update(format_version=99), "format 99"),
        (lambda card: card.update(format_version="x"), "format 'x'"),
        (lambda card: card.pop("kind"), "not a model card"),
        (lambda card: card.pop("genes"), "lacks genes"),
        (lambda card: card.update(genes="ERBB2"), "malformed"),
        (lambda card: card.update(genes=["A", "A"]), "malformed"),
        (lambda card: card.update(training=[{"section": "C2"}]), "malformed"),
        (lambda card: card.update(mpp=-1), "malformed"),
        (lambda card: card.update(settings=[]), "malformed"),
        (lambda card: card.update(seed="0"), "malformed"),
    ],
)
def test_damaged_cards_are_refused(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "[" * 100_000])
def test_cards_that_are_no_cards_are_refused(folder, content):
    (folder / CARD_FILE).write_text(content)
    with pytest.raises(ModelError):
        load_model(folder)


def test_shapes_are_checked():
    require_shapes(TENSORS, {"a": (2, 3)})
    with pytest.raises(ModelError, match=r"a has shape \(2, 3\), not \(3, 2\)"):
        require_shapes(TENSORS, {"a": (3, 2)})
    with pytest.raises(ModelError, match="c is missing"):
        require_shapes(TENSORS, {"c": (1,)})
    with pytest.raises(ModelError, match="not finite"):
        require_shapes({"a": np.array([np.nan])}, {"a": (1,)})


def test_unknown_fields_of_a_card_are_ignored(folder):
    rewrite(folder, lambda card: card.update(colour="blue"))
    assert load_model(folder)[1].kind == "predictor"
