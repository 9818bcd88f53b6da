"""The variants of the predictor, one module each."""
