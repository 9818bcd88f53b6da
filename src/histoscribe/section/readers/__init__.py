"""Readers of sections, one module a format."""
