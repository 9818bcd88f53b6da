from .benchmark import GenePanel as GenePanel, predictor_benchmark as predictor_benchmark
from .guided import guided_benchmark as guided_benchmark
from .peers import (
    Example as Example,
    HeldOutSections as HeldOutSections,
    Prediction as Prediction,
    peer as peer,
)
from .splits import Fold as Fold, make_folds as make_folds
