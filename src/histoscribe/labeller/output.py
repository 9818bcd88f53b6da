"""What is written of a slide: its labels as a table, its tiles with attention and evidence."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from histoscribe.arrays import Floats, Wide
from histoscribe.files import as_json, replacing
from histoscribe.labeller.calibration import tell
from histoscribe.labeller.labels import Label, columns_of
from histoscribe.models import Card
from histoscribe.predictor.output import model_record, section_of
from histoscribe.record import record_of
from histoscribe.section import Section, flip, write_section
from histoscribe.slide import Slide
from histoscribe.tiles import Tiles
from histoscribe.verdict import Verdict

UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class SlideLabels:
    """What is told of one slide."""

    told: pd.DataFrame
    """A row each label: see `Labeller.label`."""
    attention: Floats
    evidence: Floats
    """`attention` and `evidence`: shape (tiles, outputs)."""
    novelty: Floats
    """Of each tile, above 1 where it is unlike the training, shape (tiles,)."""
    verdict: Verdict
    tiles: Section | None = None
    """The tiles on their slide: evidence by output, `layers["attention"]`, novelty and record."""


def told_of(
    answers: Wide, labels: Sequence[Label], calibration: Sequence[Wide], card: Card, verdict: Verdict
) -> pd.DataFrame:
    """A row each label for answers of one slide, shape (1, outputs): see `Labeller.label_tiles`."""
    rows = []
    for label, own, how in zip(labels, columns_of(labels), calibration, strict=True):
        found, score = tell(answers[:, own], label, how)[0], card.held_out.get(label.name, {})
        row: dict[str, Any] = dict.fromkeys(("probability", "low", "high"), np.nan)
        if label.classes:
            nearest: object = label.classes[int(found.argmax())]
            row |= {"probability": found.max()} | {
                f"P({c})": v for c, v in zip(label.classes, found, strict=True)
            }
        else:
            nearest = float(f"{found[0]:.5g}")
            row |= {"low": found[1], "high": found[2]}
        told = UNKNOWN if verdict.withheld else nearest
        held_out = score.get("auc", score.get("r", np.nan))
        rows.append({"label": label.name, "told": told, "nearest": nearest, "held_out": held_out, **row})
    return pd.DataFrame(rows).set_index("label")


def tiles_told(
    card: Card, outputs: Sequence[str], slide: Slide, tiles: Tiles, found: SlideLabels, name: str, owner: str
) -> Section:
    """The tiles as a section: evidence by output, attention beside it, and where it comes from."""
    told = {"novelty": found.novelty, "unlike_training": found.novelty > 1}
    obs, var = pd.DataFrame(told, index=list(tiles.names)), pd.DataFrame(index=list(outputs))
    layers = {"attention": found.attention.astype(np.float32)}
    places = {"spatial": flip(tiles.centres)}
    table = AnnData(found.evidence.astype(np.float32), obs=obs, var=var, obsm=places, layers=layers)
    record = replace(
        model_record(card, found.novelty, found.verdict),
        scale="standardised",
        target="evidence of each tile for labels of the slide",
    )
    return section_of(table, slide, tiles, record, name, owner or None)


def write_attention(tiles: Section, path: str | Path) -> None:
    """Write the tiles of `Labeller.label` as h5ad, or as GeoJSON squares with measurements, for QuPath."""
    if not str(path).lower().endswith(".geojson"):
        write_section(tiles, path)
        return
    table, own = tiles.table, record_of(tiles.table)
    half = tiles.spot_um / tiles.mpp / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * half
    squares = np.round(table.obsm["spatial"][:, None] + corners, 1).tolist()
    measured = {f"evidence: {name}": column for name, column in zip(table.var_names, table.X.T, strict=True)}
    shares = table.layers["attention"].T
    measured |= {f"attention: {name}": column for name, column in zip(table.var_names, shares, strict=True)}
    columns = {name: [float(f"{value:.4g}") for value in column] for name, column in measured.items()}
    features = []
    for row, (tile, square) in enumerate(zip(table.obs_names, squares, strict=True)):
        values = {measure: column[row] for measure, column in columns.items()}
        facts = {"objectType": "tile", "name": tile, "measurements": values}
        outline = {"type": "Polygon", "coordinates": [square]}
        features.append({"type": "Feature", "geometry": outline, "properties": facts})
    about = {
        "model_sha256": own.model_sha256,
        "command": own.command,
        "versions": own.versions,
        "verdict": None if own.verdict is None else own.verdict.to_mapping(),
    }
    content = {"type": "FeatureCollection", "histoscribe": json.loads(as_json(about)), "features": features}
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(content), encoding="utf-8")
