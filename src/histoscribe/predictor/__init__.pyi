from .encoded import EncodedSection as EncodedSection, encode_section as encode_section
from .explaining.attention import Attention as Attention, attention_maps as attention_maps
from .explaining.attribution import Attribution as Attribution, attribute as attribute
from .guiding.alone import predict_itself as predict_itself
from .predictor import Predictor as Predictor
from .retrieval.evidence import evidence_of as evidence_of
from .settings import PredictorSettings as PredictorSettings
from .target import (
    TARGET as TARGET,
    choose_panel as choose_panel,
    log_cp10k as log_cp10k,
    panel_expression as panel_expression,
)
from .training.predictability import predictability as predictability
from .variants import VARIANTS as VARIANTS
