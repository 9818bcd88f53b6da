"""Learned tile encoders: catalogue, download, checkpoints and networks."""
