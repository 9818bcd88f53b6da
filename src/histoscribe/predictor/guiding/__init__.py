"""Guided prediction: what a model knows, weighed against measured spots of the same slide."""
