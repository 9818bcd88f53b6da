"""The table that a prediction comes as."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.modelstore import Card, installed_versions, running_command

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.slide import Slide
    from histoscribe.tiles import Tiles


def prediction_table(
    card: Card,
    slide: Slide,
    tiles: Tiles,
    expression: NDArray[np.float32],
    *,
    evidence: tuple[NDArray[np.int64], NDArray[np.float32]],
    types: NDArray[np.int64],
    name: str,
    patient: str | None,
) -> AnnData:
    """Put predicted expression (tiles, genes) into an AnnData that says where it comes from."""
    import pandas as pd
    from anndata import AnnData

    from histoscribe.section import Section, flip
    from histoscribe.section.describe import KEY, describe

    assert slide.mpp is not None
    reliability = pd.DataFrame(
        [card.held_out.get(gene, {}) for gene in card.genes],
        index=pd.Index(card.genes, dtype=str),
        columns=["r", "low", "high"],
        dtype=np.float32,
    ).add_prefix("held_out_")
    table = AnnData(
        X=expression,
        obs=pd.DataFrame({"spot_type": types.astype(np.int32)}, index=pd.Index(tiles.names, dtype=str)),
        var=reliability,
        obsm={
            "spatial": flip(tiles.centres),
            "evidence": evidence[0].astype(np.int32),
            "evidence_weight": evidence[1],
        },
    )
    table.uns[KEY] = {
        "model_sha256": card.sha256,
        "variant": card.variant,
        "encoder": card.encoder,
        "target": card.target,
        "panel_rule": card.panel_rule,
        "training_sections": np.array(card.sections, dtype=object),
        "training_patients": np.array(card.patients, dtype=object),
        "model_licence": card.licence,
        "command": running_command(),
        "versions": installed_versions(),
        "slide": str(slide.path),
        "evidence_section": np.array(card.settings["gallery"]["section"], dtype=object),
        "evidence_spot": np.array(card.settings["gallery"]["spot"], dtype=object),
    }
    section = Section(name, table, slide, slide.mpp, tiles.spot_um, tiles.pitch_um, patient or name)
    describe(table, section, "predicted")
    return table
