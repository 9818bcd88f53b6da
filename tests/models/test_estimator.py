"""The estimators' base: fitted once, saved, loaded; settings stay as they were given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from histoscribe.errors import ModelError, SettingError
from histoscribe.models import Card, Estimator, TrainingSection, require_shapes
from histoscribe.models.estimator import require_whole, settings_from


@dataclass(frozen=True)
class MeanSettings:
    shrink: float = 1.0


class MeanModel(Estimator[MeanSettings, np.ndarray]):
    """Learns the mean of each column."""

    kind = "predictor"
    reads_images = True

    def __init__(self, *, shrink: float = 1.0, **common: Any) -> None:
        super().__init__(MeanSettings(shrink), **common)

    def fit(self, table: np.ndarray) -> MeanModel:
        card = Card(
            kind=self.kind,
            variant="mean",
            genes=("A", "B"),
            target="log",
            panel_rule="given",
            training=(TrainingSection("S", "P"),),
            licence=self.licence,
            seed=self.seed,
            encoder="colour-1",
            settings={"shrink": self.settings.shrink},
        )
        return self._learned(self.settings.shrink * table.mean(axis=0), card)

    def _to_tensors(self) -> dict[str, np.ndarray]:
        return {"mean": self.fitted}

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, np.ndarray], card: Card, where: Path
    ) -> tuple[MeanSettings, np.ndarray]:
        require_shapes(tensors, {"mean": (len(card.genes),)}, where=where)
        return MeanSettings(**card.settings), tensors["mean"]


class TextModel(MeanModel):
    reads_images = False


@pytest.fixture
def fitted() -> MeanModel:
    return MeanModel(shrink=0.5, seed=3, licence="CC0").fit(np.array([[1.0, 2.0], [3.0, 4.0]]))


def test_what_was_fitted_comes_back_from_its_folder(fitted: MeanModel, tmp_path: Path):
    written = fitted.save(tmp_path / "model")
    assert written.sha256 == fitted.card.sha256
    loaded = MeanModel.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(loaded.fitted, [1.0, 1.5])
    assert (loaded.settings, loaded.seed, loaded.device, loaded.licence) == (
        MeanSettings(0.5),
        3,
        "cpu",
        "CC0",
    )
    assert loaded.card == written
    assert loaded.genes == ("A", "B")


def test_nothing_is_told_before_it_was_learned(tmp_path: Path):
    model = MeanModel()
    for use in (lambda: model.card, lambda: model.fitted, lambda: model.save(tmp_path / "model")):
        with pytest.raises(ModelError, match="this predictor has learned nothing yet"):
            use()


def test_an_encoder_must_be_the_one_that_the_card_names(fitted: MeanModel, tmp_path: Path):
    fitted.save(tmp_path / "model")
    MeanModel.load(tmp_path / "model", encoder=SimpleNamespace(name="colour-1"))
    with pytest.raises(ModelError, match="needs the encoder colour-1, not colour-2"):
        MeanModel.load(tmp_path / "model", encoder=SimpleNamespace(name="colour-2"))
    with pytest.raises(SettingError, match="reads no images"):
        TextModel.load(tmp_path / "model", encoder=SimpleNamespace(name="colour-1"))


def test_a_name_that_is_neither_folder_nor_bundled_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="no model of this name"):
        MeanModel.load(tmp_path / "nowhere")


def test_weights_that_do_not_fit_the_card_are_refused(fitted: MeanModel, tmp_path: Path):
    fitted._learned(np.zeros(3), fitted.card).save(tmp_path / "model")
    with pytest.raises(ModelError, match="mean has shape"):
        MeanModel.load(tmp_path / "model")


def test_loading_draws_nothing_from_the_host_s_random_numbers(tmp_path: Path) -> None:
    import torch

    class Drawing(MeanModel):
        @classmethod
        def _from_tensors(
            cls, tensors: Mapping[str, np.ndarray], card: Card, where: Path
        ) -> tuple[MeanSettings, np.ndarray]:
            torch.nn.Linear(3, 2)
            return super()._from_tensors(tensors, card, where)

    MeanModel(licence="mine").fit(np.ones((4, 2), dtype=np.float32)).save(tmp_path / "model")
    before = torch.get_rng_state()
    Drawing.load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)


@dataclass(frozen=True)
class SomeSettings:
    steps: int = 5
    width: int = 8

    def __post_init__(self) -> None:
        require_whole(self, steps=0, width=1)


CARD = Card("imputer", "x", ("A",), "log2", "all", (), "CC0", 0, settings={"steps": 7, "notes": ["other"]})


def test_settings_are_read_from_a_card_and_others_left_at_their_defaults() -> None:
    assert settings_from(SomeSettings, CARD, Path("x")) == SomeSettings(7, 8)


@pytest.mark.parametrize("wrong", [-1, 1.5, "many", None])
def test_a_card_whose_settings_make_no_sense_is_refused(wrong: object) -> None:
    with pytest.raises(ModelError, match="steps is"):
        settings_from(SomeSettings, replace(CARD, settings={"steps": wrong}), Path("x"))


def test_the_first_setting_that_is_too_small_is_named() -> None:
    with pytest.raises(SettingError, match=r"width is 0.*at least 1"):
        SomeSettings(width=0)
