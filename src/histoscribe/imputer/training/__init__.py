"""How the imputer learns."""
