from .benchmark import Panel as Panel, predictor_benchmark as predictor_benchmark
from .peers import Example as Example, HeldOut as HeldOut, Prediction as Prediction, peer as peer
from .splits import Fold as Fold, make_folds as make_folds
