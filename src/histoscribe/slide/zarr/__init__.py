"""OME-Zarr images, in a folder or behind a URL."""
