"""The labeller: labels of whole slides, told from their tiles, with the tiles that say so."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
