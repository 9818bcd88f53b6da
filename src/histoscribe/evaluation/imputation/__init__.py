"""The imputer's benchmark: hidden values, few genes, survival, spots, beside the baselines."""

from histoscribe.evaluation.imputation.run import METHODS, TASKS, Plan, run_imputer_benchmark
from histoscribe.evaluation.imputation.spots import Spots, gather

__all__ = ["METHODS", "TASKS", "Plan", "Spots", "gather", "run_imputer_benchmark"]
