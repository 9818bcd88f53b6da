from .cohort.cohort import Cohort as Cohort, cohort_of as cohort_of, read_cohort as read_cohort
from .cohort.met500 import read_met500 as read_met500
from .generator import Generator as Generator
