from .sample import sample_cohort as sample_cohort, sample_folder as sample_folder
from .section import simulate_section as simulate_section
