"""What the generator learns from."""
