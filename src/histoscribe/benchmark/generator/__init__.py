"""Benchmarks of the generator: measures, baselines, and the runs over beds and real data."""
