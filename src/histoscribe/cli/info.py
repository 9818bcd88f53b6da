"""`histoscribe info`: what something is, whatever its kind, and everything doubtful about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli.console import call, caution, emit, show, show_rows
from histoscribe.cli.options import AsJson
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_cohort
from histoscribe.formats import Kind, kind_of, open as open_any
from histoscribe.record import record_of

COLUMNS = ("patient", "values", "spots", "genes", "mpp", "spot_um", "pitch_um", "slide")
BEST, FIRST, MOST_GENES = 10, 5, 30

if TYPE_CHECKING:
    from histoscribe.models import Card
    from histoscribe.section import Section


def info(
    path: Annotated[
        Path,
        typer.Argument(
            help="A slide, a section, a table, a cohort CSV, a model or the name of a bundled one."
        ),
    ],
    predictability: Annotated[
        bool, typer.Option("--predictability", help="Of a cohort: how far each gene can be told.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what something is and everything that is doubtful about it."""
    from histoscribe.models import bundled, bundled_names

    if predictability:
        _show_predictability(path)
        return

    named = str(path) in bundled_names() and not path.exists()
    place = bundled(path) if named else path
    kind = kind_of(place)
    facts = {"kind": kind, **_DESCRIBED[kind](place)}
    if as_json:
        emit(facts)
        return
    sections = facts.pop("sections", [])
    warnings = facts.pop("warnings")
    show(facts.pop("url", "") or str(path), facts.items())
    if sections:
        shown = [each | {"slide": each["slide"] and Path(each["slide"]).name} for each in sections]
        show_rows(("section", *COLUMNS), [[each["name"], *map(each.get, COLUMNS)] for each in shown])
    caution([*warnings, *(f"{each['name']}: {text}" for each in sections for text in each["warnings"])])


def _show_predictability(path: Path) -> None:
    from histoscribe.features import encoder_named
    from histoscribe.predictor import encode_section, predictability

    with job() as progress:
        encoder = encoder_named("builtin")
        sections = open_cohort([path], progress=progress)
        encoded = [encode_section(section, encoder, progress=progress) for section in sections]
        progress.report("reading genes from images")
        table = predictability(encoded).reset_index()
    if call().as_json:
        emit({"kind": "cohort", "encoder": encoder.name, "genes": table.to_dict(orient="records")})
        return
    rows = [
        [one.gene, one.predictable, one.image, f"{one.low:.2f} to {one.high:.2f}", one.neighbours]
        for one in table.head(MOST_GENES).itertuples(index=False)
    ]
    show_rows(("gene", "predictable", "r by image", "95 % interval", "r by neighbours"), rows)
    reached = int((table["predictable"] >= 0.2).sum())
    told = f"{reached} of {len(table)} genes reach .2; the first {MOST_GENES} are shown, all with --json"
    caution([told, "it is measured within the cohort: a new patient reaches less"])


def _facts(thing: object, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _section_at(path: Path) -> dict[str, Any]:
    from histoscribe.section import open_section

    return {**_section(open_section(path)), **_parts(path)}


def _cohort(path: Path) -> dict[str, Any]:
    sections = [_section(section) for section in open_cohort([path])]
    patients = sorted({str(section["patient"]) for section in sections})
    return {"patients": patients, "sections": sections, "warnings": []}


def _table(path: Path) -> dict[str, Any]:
    from histoscribe.bulk import SCALES, read_table

    bulk = read_table(path)
    samples, genes = list(bulk.table.obs_names), list(bulk.table.var_names)
    return {
        "name": bulk.name,
        "samples": len(samples),
        "genes": len(genes),
        "first_samples": samples[:FIRST],
        "first_genes": genes[:FIRST],
        "known_of_samples": list(bulk.table.obs.columns)[:BEST],
        "values": SCALES[bulk.scale],
        "identifiers": bulk.identifiers,
        "warnings": list(bulk.warnings),
    }


def _regions(path: Path) -> dict[str, Any]:
    from histoscribe.tiles import read_regions

    regions = read_regions(path)
    classes = Counter(region.name or "without a class" for region in regions)
    return {
        "regions": len(regions),
        "classes": [f"{name}: {count}" for name, count in classes.most_common(BEST)],
        "holes": sum(len(region.holes) for region in regions),
        "warnings": ["it does not say on which slide its regions were drawn"],
    }


def _session(path: Path) -> dict[str, Any]:
    session = open_any(path)
    return {
        "layers": [layer.name for layer in session.layers],
        "sources": [source.path for source in session.sources],
        "panels": [panel.name for panel in session.panels],
        "warnings": [],
    }


def _slide(path: Path) -> dict[str, Any]:
    from histoscribe.features.scale import scale_doubt
    from histoscribe.slide import open_slide

    slide = open_slide(path)
    rows, columns = slide.shape
    size_mm = None if slide.mpp is None else [round(side * slide.mpp / 1000, 2) for side in (rows, columns)]
    return {
        **_facts(slide, "name", "url"),
        "rows_columns": [rows, columns],
        "size_mm": size_mm,
        **_facts(slide, "mpp", "objective", "vendor"),
        "associated": list(slide.associated),
        "icc_profile": slide.profile is not None,
        "levels": [f"{one.shape[0]} x {one.shape[1]} (1/{one.downsample:.6g})" for one in slide.levels],
        "warnings": [*slide.warnings, *filter(None, [scale_doubt(slide).sentence])],
    }


def _section(section: Section) -> dict[str, Any]:
    table = section.table
    own = record_of(table)
    said = () if section.slide is None else section.slide.warnings
    judged = own.judged(section.name, section.patient)
    verdict = judged.sentence if judged is not None else "not stated" if own.kind == "predicted" else None
    facts = {
        **_facts(section, "name", "patient"),
        "values": own.kind or "measured",
        "spots": table.n_obs,
        "genes": table.n_vars,
        **_facts(section, "mpp", "spot_um", "pitch_um"),
        "slide": None if section.slide is None else str(section.slide.path),
        "alignment": section.alignment or None,
        "model": own.model_sha256 or None,
        "verdict": verdict,
        "command": own.command or None,
        "warnings": list(dict.fromkeys((*said, *section.warnings))),
    }
    if section.slide is None and facts["values"] == "measured":
        facts["warnings"].append("no slide: nothing can be learned or predicted from this section")
    return facts


def _parts(path: Path) -> dict[str, Any]:
    """What else a Visium HD run holds beside the bins that were opened."""
    from histoscribe.section.readers.visium_hd import bin_folders, holds_cells

    root = path / "outs" if (path / "outs").is_dir() else path
    bins = bin_folders(root) if root.is_dir() else {}
    if not bins:
        return {}
    return {"bins_um": list(bins), "segmented_cells": holds_cells(root / "segmented_outputs")}


def _model(path: Path) -> dict[str, Any]:
    from statistics import median

    from histoscribe.models import load_model

    card = load_model(path)[1]
    scores = {gene: found["r"] for gene, found in card.held_out.items() if "r" in found}
    best = sorted(scores, key=lambda gene: -scores[gene])[:BEST]
    return {
        "model": f"{card.kind}, {card.variant}",
        "genes": len(card.genes),
        "target": card.target,
        "panel": card.panel_rule,
        "training_sections": card.sections,
        "training_patients": card.patients,
        "held_out": card.settings.get("inner_split"),
        "held_out_median_r": round(median(scores.values()), 4) if scores else None,
        **{f"held_out_median_r_{name}_patient": _median_of(card, name) for name in ("same", "new")},
        "labels": [f"{name} {found['auc']:.2f}" for name, found in card.held_out.items() if "auc" in found],
        "best_genes": [f"{gene} {scores[gene]:.2f}" for gene in best],
        **_facts(card, "encoder", "crop_um", "mpp"),
        "fineness_um": card.settings.get("fineness_um"),
        "counts_per_spot": card.settings.get("depth"),
        **_facts(card, "licence", "seed", "created", "command"),
        "versions": [f"{name} {found}" for name, found in card.versions.items()],
        "sha256": card.sha256,
        "warnings": _model_doubts(card),
    }


def _median_of(card: Card, patient: str) -> float | None:
    """Median r over genes on held-out sections of a known (`same`) or a new patient."""
    from statistics import median

    scores = [found[patient]["r"] for found in card.held_out.values() if found.get(patient)]
    return round(median(scores), 4) if scores else None


def _model_doubts(card: Card) -> list[str]:
    doubts = list(card.settings.get("doubts", ()))
    if not card.held_out:
        doubts.append("nothing was held out in training: how far its genes can be trusted is not known")
    if len(card.patients) == 1:
        doubts.append("it learned from one patient only: expect less on tissue of others")
    if card.licence == "not stated":
        doubts.append("its licence is not stated")
    return doubts


_DESCRIBED: dict[Kind, Callable[[Path], dict[str, Any]]] = {
    "slide": _slide,
    "section": _section_at,
    "cohort": _cohort,
    "table": _table,
    "model": _model,
    "regions": _regions,
    "session": _session,
}
