"""Evaluation: measures, comparisons and reports."""
