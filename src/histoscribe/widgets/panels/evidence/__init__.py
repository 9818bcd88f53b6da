"""The Evidence panel."""
