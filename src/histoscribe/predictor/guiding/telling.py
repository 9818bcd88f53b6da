"""What a guided prediction says of itself, and sections that teach themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoscribe.record import amend_record

if TYPE_CHECKING:
    from histoscribe.predictor.guiding.guide import Guidance
    from histoscribe.section import Section


def tell(section: Section, guidance: Guidance) -> None:
    """Write into a predicted section what its guide says.

    - `obs["given"]`: whether the tile is a spot that was learned from.
    - `layers["low"]`, `layers["high"]`: bounds from held-out given spots, of the genes that these have.
    - `var["held_out_r"]`, `["held_out_low"]`, `["held_out_high"]`: each gene's r on them, with Fisher's
      interval; `var["unguided_r"]`: the model's own r there.
    - the record: by how many spots of which section it was guided.
    """
    table, columns = section.table, guidance.columns
    table.obs["given"] = guidance.given
    low, high = guidance.intervals.around(np.asarray(table.X)[:, columns])
    if len(columns) == table.n_vars:  # else the model's own bounds stay for the other genes
        table.layers["low"], table.layers["high"] = low, high
    elif "low" in table.layers:
        table.layers["low"][:, columns], table.layers["high"][:, columns] = low, high
    spread = 1.96 / max(guidance.spots - 3, 1) ** 0.5
    z = np.arctanh(np.clip(guidance.guided_r, -0.999, 0.999))
    for name, values in (
        ("held_out_r", guidance.guided_r),
        ("held_out_low", np.tanh(z - spread)),
        ("held_out_high", np.tanh(z + spread)),
        ("unguided_r", guidance.alone_r),
    ):
        if not np.isfinite(values).any():
            continue
        kept = np.full(table.n_vars, np.nan, np.float32)
        if name in table.var:
            kept[:] = table.var[name]
        kept[columns] = values
        table.var[name] = kept
    amend_record(table, guide_section=guidance.section, guide_spots=guidance.spots)
