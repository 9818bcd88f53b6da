"""Slides, sections, maps and regions as napari layers."""
