"""Histoscribe reads a tissue slide and writes down its genes."""

from importlib.metadata import version

__version__ = version("napari-histoscribe")
