"""Slides: one RGB pyramid, whatever wrote the file."""

from histoscribe.slide.model import Level, Region, Slide

__all__ = ["Level", "Region", "Slide"]
