"""Genes: identifiers, aliases, and sets of them."""
