from .identifiers import (
    clean_names as clean_names,
    match_genes as match_genes,
    other_names as other_names,
    symbol_of as symbol_of,
)
from .sets import (
    GeneSets as GeneSets,
    read_gene_list as read_gene_list,
    read_gene_sets as read_gene_sets,
    shipped_gene_sets as shipped_gene_sets,
)
