"""Benchmarks: methods × folds × measures, with one registry, one ledger, one set of tables and one report."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
