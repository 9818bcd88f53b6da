"""The built-in tile encoder, which needs no download."""
