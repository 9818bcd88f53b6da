"""The Align panel."""
