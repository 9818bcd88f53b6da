"""The Regions panel."""
