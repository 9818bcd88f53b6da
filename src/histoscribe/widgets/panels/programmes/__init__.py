"""The Programmes panel."""
