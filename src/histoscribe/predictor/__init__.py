"""The predictor (GR2ST): expression from histology."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.lazy import lazily
from histoscribe.predictor.encoded import EncodedSection, encode_section
from histoscribe.predictor.predictor import Predictor
from histoscribe.predictor.retrieval.evidence import evidence_of
from histoscribe.predictor.settings import VARIANTS, Settings
from histoscribe.predictor.target import TARGET, choose_panel, log_cp10k, panel_expression

if TYPE_CHECKING:
    from histoscribe.predictor.explaining.attention import Attention, attention_maps
    from histoscribe.predictor.explaining.attribution import Attribution, attribute

__all__ = [
    "TARGET",
    "VARIANTS",
    "Attention",
    "Attribution",
    "EncodedSection",
    "Predictor",
    "Settings",
    "attention_maps",
    "attribute",
    "choose_panel",
    "encode_section",
    "evidence_of",
    "log_cp10k",
    "panel_expression",
]

__getattr__ = lazily(
    __name__,
    {
        "Attention": "histoscribe.predictor.explaining.attention",
        "Attribution": "histoscribe.predictor.explaining.attribution",
        "attention_maps": "histoscribe.predictor.explaining.attention",
        "attribute": "histoscribe.predictor.explaining.attribution",
    },
)
