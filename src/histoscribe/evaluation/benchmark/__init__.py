"""The predictor's benchmark: folds, peers, and one run over all of them."""

from histoscribe.evaluation.benchmark.run import Record, run_benchmark
from histoscribe.evaluation.benchmark.splits import Fold, make_folds

__all__ = ["Fold", "Record", "make_folds", "run_benchmark"]
