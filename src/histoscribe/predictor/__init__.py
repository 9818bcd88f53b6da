"""The predictor (GR2ST): expression from histology."""

from __future__ import annotations

from histoscribe.predictor.encoded import EncodedSection, encode_section
from histoscribe.predictor.predictor import Predictor
from histoscribe.predictor.settings import VARIANTS, Settings
from histoscribe.predictor.target import TARGET, choose_panel, log_cp10k, panel_expression

__all__ = [
    "TARGET",
    "VARIANTS",
    "EncodedSection",
    "Predictor",
    "Settings",
    "choose_panel",
    "encode_section",
    "log_cp10k",
    "panel_expression",
]
