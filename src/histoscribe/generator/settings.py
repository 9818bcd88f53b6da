"""What is chosen before a generator is trained."""

from __future__ import annotations

from dataclasses import dataclass

from histoscribe.errors import SettingError


@dataclass(frozen=True)
class GeneratorSettings:
    """What is chosen before training.

    Parameters
    ----------
    met_steps, mixing_steps : int
        Training steps of the MetVAE, and of source encoder and mixer.
    seed : int

    Raises
    ------
    SettingError
        If a stage has no step.
    """

    met_steps: int = 600
    mixing_steps: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("met_steps", self.met_steps), ("mixing_steps", self.mixing_steps)):
            if value < 1:
                raise SettingError(f"{name} is {value}", remedy="use 1 or more")
