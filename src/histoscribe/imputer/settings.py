"""What is chosen before an imputer is trained."""

from __future__ import annotations

from dataclasses import dataclass

from histoscribe.models.estimator import require_whole


@dataclass(frozen=True)
class ImputerSettings:
    """What is chosen before training.

    Parameters
    ----------
    factors : int, optional
        Of the Gaussian start, at most a third of the samples; chosen on held-out patients where not given.
    references : int
        Training samples that the memory keeps, at least 20. Their values become part of the model.
    steps : int
        Training steps of the encoder–decoder; 0 leaves it out.
    devices : int
        How many devices, or processes on the CPU, train together.

    Raises
    ------
    SettingError
        If a number is too small.
    """

    factors: int | None = None
    references: int = 2048
    steps: int = 600
    devices: int = 1

    def __post_init__(self) -> None:
        require_whole(self, references=20, steps=0, devices=1)
        if self.factors is not None:
            require_whole(self, factors=1)
