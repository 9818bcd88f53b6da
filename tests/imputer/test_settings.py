from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from anndata import AnnData

from histoscribe.errors import SettingError
from histoscribe.imputer import Imputer, ImputerSettings

Maker = Callable[..., AnnData]


def test_the_size_of_the_gaussian_is_chosen_on_held_out_patients(table_maker: Maker) -> None:
    imputer = Imputer(steps=0).fit(table_maker(samples=150))
    assert imputer.card.settings["factors"] in (8, 15)


def test_unknown_devices_are_named(table_maker: Maker) -> None:
    with pytest.raises(SettingError, match="no such device"):
        Imputer(device="abacus").fit(table_maker())


def test_a_fitted_and_a_loaded_model_keep_their_settings(trained: Imputer, tmp_path: Path) -> None:
    assert trained.settings == ImputerSettings(factors=8, steps=12)
    trained.save(tmp_path / "model")
    loaded = Imputer.load(tmp_path / "model")
    assert (loaded.settings.factors, loaded.settings.steps, loaded.seed) == (8, 12, 0)
    assert loaded.licence == trained.licence == "not stated"


@pytest.mark.parametrize(
    "wrong", [{"factors": 0}, {"factors": 1.5}, {"references": 19}, {"steps": -1}, {"devices": 0}]
)
def test_numbers_that_make_no_sense_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(wrong))} is"):
        ImputerSettings(**wrong)
