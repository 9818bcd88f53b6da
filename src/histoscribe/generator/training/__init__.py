"""How the generator learns."""
