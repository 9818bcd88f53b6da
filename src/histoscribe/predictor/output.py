"""The table that a prediction comes as.

`X` (tiles, genes) float32 is log1p of counts per 10,000, never negative; where it holds more than 64 million
values, it and the bounds lie on disk as dask arrays. Beside it:

- `layers["low"]`, `layers["high"]`: bounds that cover 90 % of measured values (where something was held
  out), as deep as the target's own spots were counted, else as those of the training; wider for new
  patients, unlike tiles, coarse images.
- `obs["spot_type"]`: number of the type that the network's gate reads from the image, its name in
  `uns["histoscribe"]["type_names"]`.
- `obs["novelty"]`: distance to the training tiles, above 1 a tile is unlike 99 % of them;
  `obs["unlike_training"]`: whether it is.
- `obs["attention_spatial"]`, `obs["attention_functional"]`: how much the other tiles look at this one along
  each graph; `attention_maps` gives every edge.
- `var["held_out_r"]`, `["held_out_low"]`, `["held_out_high"]`: each gene's r on held-out training sections
  and its 95 % interval: of known patients where the target's is one, else of new ones; missing where that
  was not measured.
- `obsm["spatial"]`: full-resolution pixels as (x, y).
- `obsm["evidence"]`, `["evidence_weight"]`: numbers and shares of the reference spots that weigh most in
  retrieval; `evidence_of` turns them into names and pictures.
- `uns["histoscribe"]`: where it comes from; `evidence_section` and `evidence_spot` name the reference spots,
  `evidence_crops`, `evidence_crop_ends` and `evidence_crop_of` hold their pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from histoscribe.predictor.intervals import widening
from histoscribe.predictor.judging import score_that_applies
from histoscribe.record import EvidenceRecord, Record, installed_versions, keep_record, running_command
from histoscribe.rows import lazily, room, runs_of
from histoscribe.section import Section, flip
from histoscribe.section.assembly import describe
from histoscribe.slide.identity import refer_to

if TYPE_CHECKING:
    from histoscribe.arrays import Floats, Wide
    from histoscribe.models import Card
    from histoscribe.predictor.explaining.attention import Attention
    from histoscribe.predictor.model import FittedPredictor, TilePredictions
    from histoscribe.slide import Slide
    from histoscribe.tiles import Tiles
    from histoscribe.verdict import Verdict


def predicted_section(
    card: Card,
    fitted: FittedPredictor,
    slide: Slide,
    tiles: Tiles,
    told: TilePredictions,
    attention: Mapping[str, Attention],
    *,
    name: str,
    patient: str | None,
    verdict: Verdict,
    depth: Wide | None,
) -> Section:
    """Put what was predicted at tiles of a slide into a section that says where it comes from."""
    known = verdict.kind == "training" or patient in card.patients
    reliability = pd.DataFrame(
        [score_that_applies(card.held_out.get(gene, {}), known=known) for gene in card.genes],
        index=pd.Index(card.genes, dtype=str),
        columns=["r", "low", "high"],
        dtype=np.float32,
    ).add_prefix("held_out_")
    facts = {
        "spot_type": told.types.astype(np.int32),
        "novelty": told.novelty,
        "unlike_training": told.novelty > 1,
        **{f"attention_{name}": one.received() for name, one in attention.items()},
    }
    obs = pd.DataFrame(facts, index=pd.Index(tiles.names, dtype=str))
    obsm = {"spatial": flip(tiles.centres), "evidence": told.evidence.astype(np.int32)}
    obsm |= {"evidence_weight": told.shares}
    table = AnnData(X=lazily(told.expression), obs=obs, var=reliability, obsm=obsm)
    if fitted.intervals is not None:
        wider = widening(told.novelty, verdict.fineness)
        low, high = room(told.expression.shape), room(told.expression.shape)
        for rows in runs_of(low):
            deep, some = None if depth is None else depth[rows], told.expression[rows]
            low[rows], high[rows] = fitted.intervals.around(some, known=known, depth=deep, wider=wider[rows])
        table.layers["low"], table.layers["high"] = lazily(low), lazily(high)
    gallery = card.settings["gallery"]
    evidence = EvidenceRecord(*(np.array(gallery[name], dtype=object) for name in ("section", "spot")))
    if fitted.crops is not None:
        shown = np.unique(told.evidence)
        kept = fitted.crops.some(shown)
        evidence = replace(evidence, crops=kept.data, crop_ends=kept.ends, crop_of=shown)
    record = replace(
        model_record(card, told.novelty, verdict),
        target=card.target,
        panel_rule=card.panel_rule,
        evidence=evidence,
        type_names=tuple(card.settings.get("type_names", ())),
    )
    return section_of(table, slide, tiles, record, name, patient)


def model_record(card: Card, novelty: Floats, verdict: Verdict) -> Record:
    """What a prediction on tiles says of the model that made it."""
    return Record(
        "predicted",
        model_sha256=card.sha256,
        variant=card.variant,
        encoder=card.encoder,
        training_sections=card.sections,
        training_patients=card.patients,
        model_licence=card.licence,
        unlike_training_share=float((novelty > 1).mean()),
        verdict=verdict,
    )


def section_of(
    table: AnnData, slide: Slide, tiles: Tiles, record: Record, name: str, patient: str | None
) -> Section:
    """A table of tiles as a section of their slide; the record gains command, versions and slide."""
    assert slide.mpp is not None
    made = replace(record, command=running_command(), versions=installed_versions(), slide=refer_to(slide))
    keep_record(table, made)
    section = Section(name, table, slide, slide.mpp, tiles.spot_um, tiles.pitch_um, patient or name)
    describe(section, "predicted")
    return section
