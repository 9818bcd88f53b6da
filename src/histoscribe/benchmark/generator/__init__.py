"""The generator's benchmark. Methods are called with a `Seed`; on the first bed they return a `Sampler`."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
