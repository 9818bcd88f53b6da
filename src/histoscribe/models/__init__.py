"""Saved models: weights, a card that says what they learned from, and checks."""

from histoscribe.models.bundled import bundled, bundled_names
from histoscribe.models.card import (
    FORMAT_VERSION,
    Card,
    TrainingSection,
    installed_versions,
    running_command,
)
from histoscribe.models.store import (
    CARD_FILE,
    WEIGHTS_FILE,
    load_model,
    read_card,
    require_shapes,
    save_model,
    weights_hash,
)

__all__ = [
    "CARD_FILE",
    "FORMAT_VERSION",
    "WEIGHTS_FILE",
    "Card",
    "TrainingSection",
    "bundled",
    "bundled_names",
    "installed_versions",
    "load_model",
    "read_card",
    "require_shapes",
    "running_command",
    "save_model",
    "weights_hash",
]
