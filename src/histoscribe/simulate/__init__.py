"""Simulated tissue whose truth is known."""
