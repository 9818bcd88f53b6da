from .classifier import Classifier as Classifier
from .errors import (
    Cancelled as Cancelled,
    DependencyError as DependencyError,
    HistoscribeError as HistoscribeError,
    ModelError as ModelError,
    RegionError as RegionError,
    SectionError as SectionError,
    SettingError as SettingError,
    SlideError as SlideError,
    StorageError as StorageError,
    TableError as TableError,
)
from .evaluation import compare as compare
from .formats import open as open, write as write
from .generator import Generator as Generator
from .imputer import Imputer as Imputer
from .labeller import Labeller as Labeller
from .predictor import Predictor as Predictor
from .programmes import Programmes as Programmes
from .section import Section as Section, read_cohort as read_cohort
from .slide import Slide as Slide

__version__: str
