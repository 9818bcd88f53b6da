"""The Impute panel."""
