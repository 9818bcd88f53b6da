"""What is chosen before a generator is trained."""

from __future__ import annotations

from dataclasses import dataclass

from histoscribe.models.estimator import require_whole


@dataclass(frozen=True)
class GeneratorSettings:
    """What is chosen before training; `SettingError` if a stage has no step."""

    met_steps: int = 600
    mixing_steps: int = 500
    """Training steps of the MetVAE, and of source encoder and mixer."""

    def __post_init__(self) -> None:
        require_whole(self, met_steps=1, mixing_steps=1)
