"""What is chosen before an imputer is trained."""

from __future__ import annotations

from dataclasses import dataclass

from histoscribe.errors import SettingError

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class ImputerSettings:
    """What is chosen before training.

    Parameters
    ----------
    factors : int, optional
        Of the Gaussian start, at most a third of the samples; chosen on held-out patients where not given.
    references : int
        Training samples that the memory keeps. Their values become part of the model.
    steps : int
        Training steps of the encoder–decoder; 0 leaves it out.
    seed : int
    device : str
        `cpu`, `cuda`, `mps`, or `auto` for the best there is: where Lightning trains.
    devices : int
        How many of them.

    Raises
    ------
    SettingError
        If a number is too small or the device unknown.
    """

    factors: int | None = None
    references: int = 2048
    steps: int = 600
    seed: int = 0
    device: str = "cpu"
    devices: int = 1

    def __post_init__(self) -> None:
        for name, value, least in (
            ("factors", 1 if self.factors is None else self.factors, 1), ("references", self.references, 20),
            ("steps", self.steps, 0), ("devices", self.devices, 1),
        ):  # fmt: skip
            if value < least:
                raise SettingError(f"{name} is {value}", remedy=f"use {least} or more")
        if self.device not in DEVICES:
            raise SettingError(f"no device is called {self.device!r}", remedy=f"use {', '.join(DEVICES)}")
