"""Retrieval of reference spots."""
