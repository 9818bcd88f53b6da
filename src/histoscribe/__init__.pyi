from .errors import HistoscribeError as HistoscribeError
from .evaluation import compare as compare
from .formats import open as open
from .generator import Generator as Generator
from .imputer import Imputer as Imputer
from .predictor import Predictor as Predictor
from .section import Section as Section, read_cohort as read_cohort
from .slide import Slide as Slide

__version__: str
