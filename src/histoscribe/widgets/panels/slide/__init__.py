"""The Slide panel."""
