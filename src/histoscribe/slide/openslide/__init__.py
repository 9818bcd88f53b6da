"""Slides that OpenSlide reads."""
