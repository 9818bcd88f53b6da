"""Every use of what napari does not publish: behind one probe, each with a fallback and a preference."""
