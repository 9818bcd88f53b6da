from .cohort import Cohort as Cohort, cohort_of as cohort_of, read_metastasis_cohort as read_metastasis_cohort
from .generator import Generator as Generator
from .met500 import read_met500 as read_met500
from .parents import pseudo_bulk as pseudo_bulk
from .result import write_generated as write_generated
from .training.fitting import GeneratorSettings as GeneratorSettings
