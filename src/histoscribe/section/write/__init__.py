"""Sections written as h5ad and as SpatialData."""
