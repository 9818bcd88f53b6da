"""The napari plugin: readers, layers, panels, tasks."""
