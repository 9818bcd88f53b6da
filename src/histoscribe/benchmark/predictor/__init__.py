"""The predictor's benchmark: folds, peers, and one run over all of them."""

from histoscribe.benchmark.predictor.methods import ABLATIONS, method_names
from histoscribe.benchmark.predictor.run import Panel, Record, run_benchmark
from histoscribe.benchmark.predictor.splits import Fold, make_folds

__all__ = ["ABLATIONS", "Fold", "Panel", "Record", "make_folds", "method_names", "run_benchmark"]
