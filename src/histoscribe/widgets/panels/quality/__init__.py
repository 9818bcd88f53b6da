"""The Quality panel."""
