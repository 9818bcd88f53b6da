"""Programmes: non-negative factors of a table, tied to survival, found again on tissue."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
