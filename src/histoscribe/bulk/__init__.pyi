from .reading import read_table as read_table
from .scales import SCALES as SCALES, convert as convert, recognise_scale as recognise_scale
from .table import BulkTable as BulkTable, as_table as as_table, bulk_of as bulk_of
