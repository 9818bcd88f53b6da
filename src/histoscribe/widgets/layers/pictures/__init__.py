"""Layers that are drawn anew for what is looked at."""
