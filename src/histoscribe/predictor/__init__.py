"""The predictor (GR2ST): expression from histology."""
