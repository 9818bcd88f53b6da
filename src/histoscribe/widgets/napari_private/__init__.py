"""What napari does not publish, used in one place."""
