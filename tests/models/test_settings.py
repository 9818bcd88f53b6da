from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from histoscribe.errors import ModelError, SettingError
from histoscribe.models import Card
from histoscribe.models.settings import require_whole, settings_from


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
