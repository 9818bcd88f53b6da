from .alignment import Alignment as Alignment, check_alignment as check_alignment
from .cohort import (
    open_section as open_section,
    read_cohort as read_cohort,
    read_cohort_csv as read_cohort_csv,
)
from .model import Section as Section, SectionOptions as SectionOptions, flip as flip
from .raster import Raster as Raster, raster_of as raster_of
from .readers.feature_slice import read_feature_slice as read_feature_slice
from .readers.legacy import read_legacy as read_legacy
from .registration.automatic import align as align
from .registration.keeping import keep_alignment as keep_alignment, lay_on as lay_on
from .registration.transform import Registration as Registration, align_by_landmarks as align_by_landmarks
from .table import gene_column as gene_column, log_gene as log_gene
from .writing import write_section as write_section
