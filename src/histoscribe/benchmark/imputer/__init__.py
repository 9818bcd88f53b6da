"""The imputer's benchmark: hidden values, few genes, survival, spots, beside the baselines."""

from histoscribe.benchmark.imputer.run import METHODS, TASKS, Plan, run_imputer_benchmark
from histoscribe.benchmark.imputer.spots import Spots, gather

__all__ = ["METHODS", "TASKS", "Plan", "Spots", "gather", "run_imputer_benchmark"]
