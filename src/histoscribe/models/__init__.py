"""Saved models: weights, a card that says what they learned from, and checks."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
