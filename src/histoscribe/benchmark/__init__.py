"""Benchmarks: methods on the same folds, scored with the same measures."""
