"""Bulk tables: samples by genes, their gene identifiers and their scale."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
