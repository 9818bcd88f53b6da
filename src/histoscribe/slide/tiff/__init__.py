"""TIFF-based slides."""
