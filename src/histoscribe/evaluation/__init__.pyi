from .comparison import (
    Comparison as Comparison,
    compare as compare,
    gene_scores as gene_scores,
    pooled as pooled,
    write_scores as write_scores,
)
from .report import write_report as write_report
