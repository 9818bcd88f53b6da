from .comparison import Comparison as Comparison, compare as compare, pooled as pooled
from .report import write_report as write_report
