from .alignment import Alignment as Alignment, check_alignment as check_alignment
from .cohort import read_cohort as read_cohort, read_cohort_csv as read_cohort_csv
from .model import Section as Section, SectionOptions as SectionOptions, flip as flip
from .opening import open_section as open_section
from .raster import Raster as Raster, raster_of as raster_of
from .readers.feature_slice import read_feature_slice as read_feature_slice, slice_genes as slice_genes
from .readers.legacy import read_legacy as read_legacy
from .table import gene_column as gene_column
from .writing import write_section as write_section
