"""The imputer's benchmark: hidden values, few genes, survival, spots, beside the baselines.

Methods of `imputer random`, `low`, `panels` and `spots` are called with a `HeldOut` and return how they
restore; those of `imputer classes` and `imputer survival` as `score_classes` and `score_survival` say.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
