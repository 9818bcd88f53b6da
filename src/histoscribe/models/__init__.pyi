from .card import FORMAT_VERSION as FORMAT_VERSION, Card as Card, TrainingSection as TrainingSection
from .estimator import Estimator as Estimator
from .store import (
    CARD_FILE as CARD_FILE,
    WEIGHTS_FILE as WEIGHTS_FILE,
    bundled as bundled,
    bundled_names as bundled_names,
    load_model as load_model,
    read_card as read_card,
    require_shapes as require_shapes,
    save_model as save_model,
    weights_hash as weights_hash,
)
