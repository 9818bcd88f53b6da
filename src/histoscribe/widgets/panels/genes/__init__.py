"""The Genes panel."""
