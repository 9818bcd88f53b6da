"""Sessions: what brings everything back."""
