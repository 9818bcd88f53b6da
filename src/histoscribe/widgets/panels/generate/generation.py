"""Generating as the viewer asks for it: a frozen request, a plain call, profiles and scores back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.bulk import BulkTable
from histoscribe.errors import SettingError, TableError
from histoscribe.generator.parents import MOST_MISSING, pseudo_bulk
from histoscribe.generator.result import change_table, gene_set_changes, spot_scores
from histoscribe.genes import match_genes, shipped_gene_sets
from histoscribe.models import Card
from histoscribe.progress import Progress
from histoscribe.record import amend_record, record_of
from histoscribe.section import Section
from histoscribe.tiles.regions import UNCLASSIFIED, Region, region_at
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.making import Recipe
from histoscribe.widgets.parts.fields import is_section

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.generator import Generator

    Source = BulkTable | Section

Polygons = tuple[Wide, ...]


@dataclass(frozen=True, eq=False)
class Parent:
    """A primary or a normal tissue."""

    source: Source
    regions: Polygons | None = None
    """(row, column) in full-resolution pixels: the section's spots inside them; None for the whole. Shape
    (corners, 2)."""


@dataclass(frozen=True, eq=False)
class GenerateRequest:
    """What to generate, from what, with what."""

    model: Path
    primary: Parent
    normal: Parent | None
    """None for the model's references."""
    site: str
    cancer: str | None
    """None to recognise it."""
    samples: int
    seed: int
    imputer: Path | None = None
    """Restores missing genes first; None leaves them out."""


@dataclass(frozen=True, eq=False)
class Generated:
    """What came back."""

    request: GenerateRequest
    table: AnnData
    """As `Generator.generate` describes."""
    genes: pd.DataFrame
    sets: pd.DataFrame
    """`genes` and `sets`: change against the primary, by gene and by gene set."""
    components: pd.DataFrame
    """Those of the model with a significant gene set."""
    places: Wide
    known: Wide
    """`places` and `known`: the generated samples, and the model's training metastases, on one map, shape
    (samples, 2)."""
    known_names: list[str]
    """Cancer and site of each training metastasis."""
    scores: Floats | None
    """How far each spot lies along primary → metastasis, where the primary is a section's, shape (spots,)."""


def generate(request: GenerateRequest, progress: Progress) -> Generated:
    """Load the model, bring the parents together and generate; runs on any thread.

    Raises `HistoscribeError` if the model or the parents cannot be used.
    """
    progress.report("loading the model")
    load_libraries("torch", "histoscribe.generator.generator", "histoscribe.generator.result")
    from histoscribe.generator import Generator

    generator = Generator.load(request.model)
    tumour = _profile(request.primary, request.imputer, progress)
    tissue = None if request.normal is None else _profile(request.normal, request.imputer, progress)
    table = generator.generate(
        tumour,
        site=request.site,
        cancer=request.cancer,
        normal=tissue,
        samples=request.samples,
        seed=request.seed,
        progress=progress,
    )
    source = request.primary.source
    if request.imputer is not None:
        there = len(match_genes(generator.genes, [str(name) for name in source.table.var_names]))
        note = (
            f"the primary's profile rests on {there:,} measured genes; the imputer restored the other "
            f"{len(generator.genes) - there:,} of the model's"
        )
        amend_record(table, notes=(*record_of(table).notes, note))
    progress.report("scoring")
    scores = spot_scores(source, table, spots_of(request.primary)) if is_section(source) else None
    known, cancers, sites = generator.known()
    middle = known.mean(0)
    axes = np.linalg.svd(known - middle, full_matrices=False)[2][:2].T  # their two main directions
    places, known = (table.obsm["X_metgen"] - middle) @ axes, (known - middle) @ axes
    names = [f"{cancer} at {site}" for cancer, site in zip(cancers, sites, strict=True)]
    sets = gene_set_changes(table, shipped_gene_sets())
    components = _components(generator)
    return Generated(request, table, change_table(table), sets, components, places, known, names, scores)


def step_of(request: GenerateRequest) -> Recipe:
    """How what was asked for is made again."""
    parents = {"primary": request.primary, **({"normal": request.normal} if request.normal else {})}
    drawn = {
        ("region" if role == "primary" else "normal-region"): one.regions for role, one in parents.items()
    }
    return Recipe(
        "generate",
        {role: one.source for role, one in parents.items()},
        {"model": request.model, **({"imputer": request.imputer} if request.imputer else {})},
        {name: getattr(request, name) for name in ("site", "cancer", "samples", "seed")},
        {option: outlines for option, outlines in drawn.items() if outlines is not None},
    )


def what_is_lacking(card: Card | None, source: Source | None, restored: bool) -> str:
    """Plain words where a primary lacks too many of a model's genes; empty where it has enough."""
    if card is None or source is None:
        return ""
    names = [str(name) for name in source.table.var_names]
    there = len(match_genes(card.genes, names, card.settings.get("aliases", {})))
    if there >= (1 - MOST_MISSING) * len(card.genes):
        return ""
    has = f"{source.name} has {there:,} of the model's {len(card.genes):,} genes"
    if restored:
        return f"{has}. The imputer restores the others; the fewer were measured, the rougher the profiles."
    return f"{has}, too few. Tick “Restore missing genes first”, or choose another primary."


def spots_of(parent: Parent) -> Mask | None:
    """Which spots of a section lie in the regions; None for all."""
    if parent.regions is None:
        return None
    if not is_section(parent.source):
        raise SettingError("a table has no spots", where=parent.source.name, remedy="choose a layer of spots")
    drawn = [Region("", UNCLASSIFIED, polygon) for polygon in parent.regions]
    return region_at(drawn, parent.source.centres) >= 0


def _components(generator: Generator) -> pd.DataFrame:
    """The components with a significant gene set; none where the model's genes are in no set."""
    from histoscribe.generator.components import SIGNIFICANT

    try:
        table = generator.components()
    except TableError:
        return pd.DataFrame()
    return table[table["adjusted"] < SIGNIFICANT]


def _profile(parent: Parent, imputer: Path | None, progress: Progress) -> BulkTable:
    """The table as it is, or the pseudo-bulk of the section's spots; missing genes restored if asked."""
    source: Any = parent.source
    rows = spots_of(parent) if is_section(source) else None
    if rows is not None:
        pseudo_bulk(source, rows)
    if imputer is not None:
        from histoscribe.imputer import Imputer
        from histoscribe.imputer.result import completed

        source = completed(source, Imputer.load(imputer).restore(source, progress=progress))
    return pseudo_bulk(source, rows) if is_section(source) else source
