"""The guide to the first steps."""
