"""The classifier: what a sample is, told by whatever genes it has, with *unknown* among the answers."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
