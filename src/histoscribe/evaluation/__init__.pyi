from .clusters import expression_clusters as expression_clusters
from .comparison import (
    Comparison as Comparison,
    compare as compare,
    gene_scores as gene_scores,
    pooled as pooled,
    write_scores as write_scores,
)
from .regions import (
    class_neighbourhood as class_neighbourhood,
    classes_of as classes_of,
    differential_genes as differential_genes,
    morans_i as morans_i,
)
from .report import write_report as write_report
