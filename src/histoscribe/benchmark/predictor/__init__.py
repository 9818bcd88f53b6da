"""The predictor's benchmark. A method is called with a `HeldOutSections` fold and a seed; see `peers`."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
