"""A section, or regions of it, as samples: one profile each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk import BulkTable, as_table
from histoscribe.generator.parents import pseudo_bulk

if TYPE_CHECKING:
    from histoscribe.section import Section


def profiles(section: Section, labels: NDArray[np.str_] | None = None) -> BulkTable:
    """The pseudo-bulk of all spots, and of those of each class; `labels` (spots,): empty outside all."""
    import anndata

    parts = [pseudo_bulk(section)]
    for name in sorted(set(() if labels is None else labels.tolist()) - {""}):
        parts.append(pseudo_bulk(section, labels == name, name=name))
    joined = anndata.concat([part.table for part in parts])
    return as_table(joined, name=section.name, scale=parts[0].scale)
