"""Sections: measured or predicted spots on their tissue."""

from histoscribe.section.model import Section

__all__ = ["Section"]
