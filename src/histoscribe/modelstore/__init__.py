"""Saved models: weights, a card that says what they learned from, and checks."""
