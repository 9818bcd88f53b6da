"""Settings of models: whole numbers that make sense, read back from a card."""

from __future__ import annotations

from dataclasses import fields
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

from histoscribe.errors import ModelError, SettingError
from histoscribe.models.card import Card

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    SettingsT = TypeVar("SettingsT", bound=DataclassInstance)


def require_whole(settings: Any, **least: int) -> None:
    """Check that each named setting is a whole number of at least so much.

    Raises
    ------
    SettingError
        Naming the first that is not.
    """
    for name, lowest in least.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or value < lowest:
            raise SettingError(f"{name} is {value!r}", remedy=f"choose a whole number of at least {lowest}")


def settings_from(kind: type[SettingsT], card: Card, where: str | PathLike[str]) -> SettingsT:
    """The settings that a card states; defaults for those it does not, nothing for what else it holds.

    Raises
    ------
    ModelError
        If one is out of range.
    """
    known = {entry.name for entry in fields(kind)}
    try:
        return kind(**{name: value for name, value in card.settings.items() if name in known})
    except SettingError as error:
        raise ModelError(
            f"the card's settings are impossible ({error})", where=where, remedy="copy the folder anew"
        ) from error
