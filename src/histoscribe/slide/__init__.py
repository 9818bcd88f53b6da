"""Slides: one RGB pyramid, whatever wrote the file."""

from histoscribe.slide.model import Level, Region, Slide
from histoscribe.slide.opening import open_slide
from histoscribe.slide.write.writing import write_slide

__all__ = ["Level", "Region", "Slide", "open_slide", "write_slide"]
