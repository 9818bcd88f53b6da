"""How well a prediction fits what was measured: per gene and overall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.bulk.table import dense
from histoscribe.errors import TableError
from histoscribe.evaluation import measures
from histoscribe.evaluation.matching import Match, as_section, common_genes, match_spots
from histoscribe.evaluation.measures import Interval, bootstrap_mean, pearson_intervals, pearson_per_gene
from histoscribe.files import as_json, replacing
from histoscribe.predictor.target import TARGET, log_cp10k
from histoscribe.progress import Progress
from histoscribe.record import Record, record_of
from histoscribe.section import Section

if TYPE_CHECKING:
    from anndata import AnnData

TOP = 50
_FEW = 30
_PITCHES_PER_PATCH = 5.0

SCORES_CSV: dict[str, Any] = {"index_label": "gene", "float_format": "%.4g"}
"""How scores are written: more digits than these depend on where numbers lie in memory."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A prediction beside a measurement, spot by spot and gene by gene."""

    section: Section
    """The measured section, only the spots that have a prediction."""
    match: Match
    """Which rows of the two tables these spots are."""
    genes: tuple[str, ...]
    """In the prediction's order."""
    measured: Floats
    predicted: Floats
    """`measured` and `predicted`: log1p of counts per 10,000, shape (spots, genes)."""
    truth: Floats | None
    """Where the section is simulated: what is expected without depth and noise. Shape (spots, genes)."""
    per_gene: pd.DataFrame
    """One row a gene: `pearson`, `spearman`, `mse`, `mae`, `mean`, `variance`, `detected` (share of spots
    with a count), `top50`; where the truth is known `pearson_truth` and `ceiling` (r of the measurement
    itself with the truth). Best first, undefined last."""
    summary: dict[str, Any]
    """Plain values: split, panel, target, counts of spots and genes, and means over genes."""
    record: Record
    """What the prediction says about its model."""
    warnings: tuple[str, ...] = ()
    """Everything doubtful, in plain words."""

    def column(self, gene: str) -> int:
        """Where a gene stands in `measured` and `predicted`."""
        return self._columns[gene]

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {gene: column for column, gene in enumerate(self.genes)}

    def of(self, gene: str) -> tuple[Floats, Floats, Floats | None]:
        """Measured, predicted and (where known) true values of a gene, each of shape (spots,)."""
        column = self._columns[gene]
        truth = None if self.truth is None else self.truth[:, column]
        return self.measured[:, column], self.predicted[:, column], truth

    def to_json(self) -> str:
        """Summary, settings, warnings and every gene's scores; what is undefined becomes null."""
        content = {
            **self.summary,
            "settings": {
                "training_sections": list(self.record.training_sections),
                "training_patients": list(self.record.training_patients),
                "model": self.record.model_sha256,
                "command": self.record.command,
                "versions": self.record.versions,
            },
            "warnings": list(self.warnings),
            "per_gene": self.per_gene.reset_index().to_dict(orient="records"),
        }
        return as_json(content, indent=1)


def compare(measured: Section | AnnData, predicted: Section | AnnData) -> Comparison:
    """Compare predicted expression with what was measured.

    Counts become log1p of counts per 10,000 over all measured genes, before only the predicted ones are kept.

    Parameters
    ----------
    measured : Section or AnnData
        Raw counts.
    predicted : Section or AnnData
        log1p of counts per 10,000, as a `Predictor` gives it. Spots are matched by barcode, else by position.

    Raises
    ------
    TableError
        If no spot or no gene is common, the measured table holds no counts, or the two are swapped.
    """
    left, right = as_section(measured), as_section(predicted)
    for section, is_measured in ((left, True), (right, False)):
        kind = record_of(section.table).kind
        if kind is not None and (kind == "measured") != is_measured:
            problem = f"this table is {kind}, where the other kind is wanted"
            remedy = "give the measured table first and the prediction second"
            raise TableError(problem, where=section.name, remedy=remedy)
    genes, columns, predicted_columns = common_genes(left, right)
    found = match = match_spots(left, right)
    learned = _learned_from(left, right, match)
    if not learned.all():  # what a guided prediction learned from has no say beside other spots
        match = replace(match, measured=match.measured[~learned], predicted=match.predicted[~learned])
    left_out = len(found.measured) - len(match.measured)
    table = left.table[match.measured].copy()
    counts = table.X[:, columns]
    expression = dense(log_cp10k(table.X)[:, columns])
    guess = dense(right.table.X[match.predicted][:, predicted_columns])
    truth = dense(table.layers["truth"][:, columns]) if "truth" in table.layers else None

    source = record_of(right.table)
    top, top_by = _top_genes(genes, expression, source)
    detected = np.asarray((counts > 0).mean(axis=0)).reshape(-1)
    per_gene = _score(genes, expression, guess, truth, detected, top)
    section = replace(left, table=table, slide=left.slide or right.slide, warnings=(), alignment="")
    summary = _summarise(section, per_gene, source, match, left.table.n_obs - left_out, top_by)
    if learned.all():
        summary["split"] = "guided by these very spots"
    warnings = (*left.warnings, *right.warnings, *_doubts(left, right, source, summary))
    said = tuple(dict.fromkeys(warnings))
    return Comparison(section, match, tuple(genes), expression, guess, truth, per_gene, summary, source, said)


def gene_scores(
    done: Comparison, predicted: Section | AnnData, *, progress: Progress | None = None
) -> pd.DataFrame:
    """Every gene's scores with intervals, best r first.

    Parameters
    ----------
    predicted : Section or AnnData
        The prediction that was compared.

    Returns
    -------
    DataFrame
        Indexed by gene: `pearson`, its 95 % interval `low` and `high` by resampling patches of tissue of five
        pitches, `held_out_r` as the model states it (NaN where not), `spearman`, `mae`, `detected`.
    """
    table, patch = done.per_gene.copy(), _PITCHES_PER_PATCH * done.section.spacing_um
    places = done.section.centres_um
    ends = pearson_intervals(done.measured, done.predicted, places, patch_um=patch, progress=progress)
    columns = [done.column(gene) for gene in table.index]
    table["low"], table["high"] = (end[columns] for end in ends)
    var = as_section(predicted).table.var
    stated = var["held_out_r"].astype(float) if "held_out_r" in var else None
    table["held_out_r"] = np.nan if stated is None else stated.reindex(table.index).to_numpy()
    return table[["pearson", "low", "high", "held_out_r", "spearman", "mae", "detected"]]


def write_scores(scores: pd.DataFrame, path: str | PathLike[str]) -> Path:
    """Write `gene_scores` as CSV, whole or not at all; `StorageError` if it cannot be written."""
    with replacing(path) as fresh:
        scores.to_csv(fresh, **SCORES_CSV)
    return Path(path)


def pooled(comparisons: Sequence[Comparison]) -> Interval:
    """Mean over sections of the mean r, resampling sections; over genes where there is only one section."""
    if len(comparisons) == 1:
        return bootstrap_mean(comparisons[0].per_gene["pearson"])
    return bootstrap_mean([one.summary["mean_pearson"] for one in comparisons], over="sections")


def _top_genes(genes: list[str], expression: Floats, source: Record) -> tuple[set[str], str]:
    """The 50 genes that vary most, without a look at the measured section where the panel is known.

    A `Predictor` writes its columns in the order of its panel, so `genes` is that order where the prediction
    names its model.
    """
    known = set(genes)
    ranked = [gene for gene in source.panel_genes if gene in known] or (genes if source.model_sha256 else [])
    if ranked:
        rule = source.panel_rule or "its rule is not stated"
        return set(ranked[:TOP]), f"the first of the model's panel ({rule})"
    order = np.argsort(-expression.var(axis=0), kind="stable")[:TOP]
    return {genes[index] for index in order}, "variance on the measured section (the model names no panel)"


def _score(
    genes: list[str], expression: Floats, guess: Floats, truth: Floats | None, detected: Wide, top: set[str]
) -> pd.DataFrame:
    scores = {
        "pearson": pearson_per_gene(expression, guess),
        "spearman": measures.spearman_per_gene(expression, guess),
        "mse": measures.mse_per_gene(expression, guess),
        "mae": measures.mae_per_gene(expression, guess),
        "mean": expression.mean(axis=0, dtype=np.float64),
        "variance": expression.var(axis=0, dtype=np.float64),
        "detected": detected,
        "top50": [gene in top for gene in genes],
    }
    if truth is not None:
        scores["pearson_truth"] = pearson_per_gene(truth, guess)
        scores["ceiling"] = pearson_per_gene(truth, expression)
    table = pd.DataFrame(scores, index=pd.Index(genes, name="gene"))
    return table.sort_values("pearson", ascending=False, na_position="last", kind="stable")


def _learned_from(measured: Section, predicted: Section, match: Match) -> Mask:
    """Which matched spots a guided prediction learned from: its own tiles, or those that a grid names."""
    table, source = predicted.table, record_of(predicted.table)
    learned = np.zeros(len(match.measured), dtype=bool)
    if "given" in table.obs:
        learned |= table.obs["given"].to_numpy(bool)[match.predicted]
    if source.evidence is not None and source.guide_section == measured.name:
        of_guide = np.asarray(source.evidence.section) == source.guide_section
        names = measured.table.obs_names[match.measured]
        learned |= names.isin(np.asarray(source.evidence.spot)[of_guide])
    return learned


def _summarise(
    section: Section, per_gene: pd.DataFrame, source: Record, match: Match, spots: int, top_by: str
) -> dict[str, Any]:
    r = per_gene["pearson"]
    interval = bootstrap_mean(r)
    judged = source.judged(section.name, section.patient)
    summary = {
        "section": section.name,
        "patient": section.patient,
        "split": source.split_of(section.name, section.patient),
        "verdict": None if judged is None else judged.sentence,
        "panel": source.panel_rule or f"the {len(per_gene)} genes that both tables have",
        "target": source.target or TARGET,
        "spots": len(match.measured),
        "spots_without_prediction": spots - len(match.measured),
        "matched_by": match.by,
        "genes": len(per_gene),
        "genes_without_r": int(r.isna().sum()),
        "mean_pearson": interval.mean,
        "mean_pearson_low": interval.low,
        "mean_pearson_high": interval.high,
        "interval": f"95% bootstrap over {interval.over}",
        "median_pearson": float(r.dropna().median()),
        "top50_mean_pearson": float(r[per_gene["top50"]].mean()),
        "top50_by": top_by,
        "mean_spearman": float(per_gene["spearman"].mean()),
        "mse": float(per_gene["mse"].mean()),
        "mae": float(per_gene["mae"].mean()),
    }
    if "pearson_truth" in per_gene:
        summary["mean_pearson_truth"] = float(per_gene["pearson_truth"].mean())
        summary["mean_pearson_ceiling"] = float(per_gene["ceiling"].mean())
    return summary


def _doubts(left: Section, right: Section, source: Record, summary: dict[str, Any]) -> list[str]:
    doubts = []
    if summary["split"] == "in training":
        doubts.append(f"{left.name} was trained on: these figures do not hold for new tissue.")
    if summary["split"] == "guided by these very spots":
        known = right.table.var.get("held_out_r")
        words = "" if known is None else f"; on held-out ones the mean r is {known.mean():.2f}"
        doubts.append(
            "The prediction learned from every spot that is compared: these figures say nothing about "
            f"others{words}."
        )
    elif source.guide_spots:
        doubts.append(
            f"The prediction is guided by {source.guide_spots} spots of {source.guide_section}, which are "
            "left out where it was asked for others: these figures are for this section alone."
        )
    if right.name != left.name:
        doubts.append(f"The prediction is named {right.name}, the measurement {left.name}.")
    if source.target and source.target != TARGET:
        doubts.append(f"The model predicts {source.target}; it was compared with {TARGET}.")
    if summary["spots"] < _FEW:
        doubts.append(f"Only {summary['spots']} spots are compared: r over so few says little.")
    if summary["spots_without_prediction"]:
        doubts.append(f"{summary['spots_without_prediction']} measured spots have no prediction near them.")
    if summary["genes_without_r"]:
        doubts.append(
            f"{summary['genes_without_r']} genes are the same in all spots, measured or predicted: "
            "they have no r and are left out of the means."
        )
    return doubts
