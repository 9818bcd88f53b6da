"""Slides written as pyramidal OME-TIFF and as OME-Zarr."""
