"""The installed version, looked up when it is first asked for."""

from importlib.metadata import version

__version__ = version("napari-histoscribe")
