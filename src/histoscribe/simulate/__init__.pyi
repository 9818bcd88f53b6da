from .hd import simulate_hd as simulate_hd
from .sample import sample_cohort as sample_cohort, sample_folder as sample_folder
from .section import simulate_section as simulate_section
from .spaceranger import write_spaceranger as write_spaceranger
from .spaceranger_hd import write_spaceranger_hd as write_spaceranger_hd
