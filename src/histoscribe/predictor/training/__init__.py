"""How the predictor learns."""
