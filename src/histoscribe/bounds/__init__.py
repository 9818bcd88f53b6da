"""Bounded reading of files that may be damaged or hostile."""
