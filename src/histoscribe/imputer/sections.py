"""A restored table as a section again: log values everywhere, restored genes marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoscribe.section import Section

if TYPE_CHECKING:
    from anndata import AnnData


def as_section(section: Section, restored: AnnData) -> Section:
    """Put restored genes beside the measured ones of a section.

    Parameters
    ----------
    section : Section
        What was given to `Imputer.restore`.
    restored : AnnData
        What came back.

    Returns
    -------
    Section
        `X` holds `layers["restored"]`, the scale of a prediction; `layers["mask"]` and `layers["sd"]` say
        what was restored and how surely, `var["restored"]` for which share of the spots.
    """
    from anndata import AnnData

    table = AnnData(
        np.asarray(restored.layers["restored"]), obs=section.table.obs.copy(), var=restored.var.copy(),
        obsm=dict(restored.obsm), uns=dict(section.table.uns),
        layers={"mask": restored.layers["mask"], "sd": restored.layers["sd"]},
    )  # fmt: skip
    origin = dict(section.table.uns.get("histoscribe", {}))
    table.uns["histoscribe"] = {
        **origin, **restored.uns["histoscribe"], "kind": "predicted", "restored": True, "name": section.name,
        "patient": section.patient, "mpp": float(section.mpp), "spot_um": float(section.spot_um),
        "pitch_um": float(section.pitch_um),
    }  # fmt: skip
    return section.with_table(table)
