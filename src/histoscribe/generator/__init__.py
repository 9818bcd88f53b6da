"""The generator (MetGen): profiles of the metastasis that a primary tumour might become."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
