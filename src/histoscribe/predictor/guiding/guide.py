"""The guide: measured spots on part of a slide, and what a predictor makes of them elsewhere on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.arrays import Floats, Mask, Numbers, Wide
from histoscribe.errors import SectionError, SlideError, TableError
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.guiding.kernels import SlideView, kernels_of
from histoscribe.predictor.guiding.regression import (
    GivenSpots,
    HeldOutSpots,
    SpotAnswers,
    folds_like,
    weighed,
)
from histoscribe.predictor.intervals import HeldOutTissue, Intervals, conformal
from histoscribe.predictor.retrieval.evidence import pack_crops
from histoscribe.predictor.target import panel_expression, spot_weights
from histoscribe.record import EvidenceRecord, amend_record, record_of

if TYPE_CHECKING:
    import torch
    from anndata import AnnData

    from histoscribe.predictor.model import FittedPredictor, TilePredictions
    from histoscribe.section import Section
    from histoscribe.slide import Slide

FEWEST = 8
_SAME = 0.01  # pitches within which a tile is a given spot
_CLEARLY = 0.02  # mean r by which the model alone must lead on held-out spots to be taken alone


@dataclass(frozen=True, eq=False)
class Guidance:
    """What came of guiding a prediction."""

    expression: Floats
    """log1p of counts per 10,000, never negative, shape (tiles, genes)."""
    columns: Numbers
    """The model's genes that the given spots have; the others are as the model says."""
    shares: dict[str, float]
    """How much each way to answer makes of it; the rest to 1 is the given spots' mean profile."""
    alone_r: Wide
    guided_r: Wide
    """`alone_r` and `guided_r`: each gene's r on given spots that were held out: of the model alone, and
    guided. Shape (columns,)."""
    intervals: Intervals
    """Conformal bounds from these spots, for the same genes."""
    given: Mask
    """Whether a tile is one of the given spots, shape (tiles,)."""
    source: EncodedSection
    """The given spots."""
    behind: Numbers
    pulled: Wide
    """`behind` and `pulled`: numbers of the given spots that pull most at a tile, strongest first, and their
    shares of the pull of all, shape (tiles, some spots)."""
    leaning: float
    """Which share of the answers is the model's word."""

    def write_into(self, predicted: Section) -> None:
        """Write into a predicted section what its guide says.

        - `obs["given"]`: whether the tile is a spot that was learned from.
        - `layers["low"]`, `layers["high"]`: bounds from held-out given spots, of the genes that these have.
        - `var["held_out_r"]`, `["held_out_low"]`, `["held_out_high"]`: each gene's r on them, with Fisher's
          interval; `var["unguided_r"]`: the model's own r there.
        - `obsm["evidence"]`, `["evidence_weight"]`: the given spots among the model's reference spots.
        - the record: by how many spots of which section it was guided.
        """
        table, columns = predicted.table, self.columns
        table.obs["given"] = self.given
        low, high = self.intervals.around(np.asarray(table.X)[:, columns])
        if len(columns) == table.n_vars:  # else the model's own bounds stay for the other genes
            table.layers["low"], table.layers["high"] = low, high
        elif "low" in table.layers:
            table.layers["low"][:, columns], table.layers["high"][:, columns] = low, high
        spots = len(self.source.spots)
        spread = 1.96 / max(spots - 3, 1) ** 0.5
        z = np.arctanh(np.clip(self.guided_r, -0.999, 0.999))
        for name, values in (
            ("held_out_r", self.guided_r),
            ("held_out_low", np.tanh(z - spread)),
            ("held_out_high", np.tanh(z + spread)),
            ("unguided_r", self.alone_r),
        ):
            if not np.isfinite(values).any():
                continue
            kept = np.full(table.n_vars, np.nan, np.float32)
            if name in table.var:
                kept[:] = table.var[name]
            kept[columns] = values
            table.var[name] = kept
        amend_record(table, guide_section=self.source.name, guide_spots=spots, evidence=self._evidence(table))

    def _evidence(self, table: AnnData) -> EvidenceRecord:
        """The reference spots with the given ones behind them, after these were put into the table."""
        names, known = np.array(self.source.spots, dtype=object), record_of(table).evidence
        sections = np.full(len(names), self.source.name, dtype=object)
        numbers, weights, first = self.behind, self.pulled * (1 - self.leaning), 0
        pictures = []
        if known is not None:
            first = len(known.spot)
            numbers = np.hstack([table.obsm["evidence"], numbers + first])
            weights = np.hstack([table.obsm["evidence_weight"] * self.leaning, weights])
            sections, names = np.append(known.section, sections), np.append(known.spot, names)
            if known.crops is not None:
                pictures.append((known.crops, known.crop_ends, known.crop_of))
        if self.source.crops is not None:
            shown = np.unique(self.behind)
            own = pack_crops(self.source.crops[shown])
            before = sum(len(data) for data, *_ in pictures)
            pictures.append((own.data, own.ends + before, shown + first))
        order = np.argsort(-weights, axis=1, kind="stable")[:, : self.behind.shape[1]]
        table.obsm["evidence"] = np.take_along_axis(numbers, order, 1).astype(np.int32)
        table.obsm["evidence_weight"] = np.take_along_axis(weights, order, 1).astype(np.float32)
        return EvidenceRecord(sections, names, *map(np.concatenate, zip(*pictures, strict=True)))


@dataclass(frozen=True, eq=False)
class Guide:
    """Measured spots of a slide that predictions on it learn from.

    Raises `SectionError` if it has fewer than 8 spots.
    """

    given: EncodedSection
    """Described by the model's encoder."""
    slide: Slide | None = None
    """What they lie on, at the scale of their places; None where nothing but encoded tiles is predicted."""

    def __post_init__(self) -> None:
        if len(self.given.spots) < FEWEST:
            problem = f"{len(self.given.spots)} measured spots are too few to learn from"
            remedy = f"give at least {FEWEST}, or predict without a guide"
            raise SectionError(problem, where=self.given.name, remedy=remedy)

    def on(self, slide: Slide) -> Guide:
        """The same spots at the scale of a slide that is to be predicted.

        Raises `SlideError` if they lie on another one.
        """
        from histoscribe.slide.identity import refer_to

        own = self.slide
        if own is None or own.mpp is None or slide.mpp is None:
            return self
        if own.levels is not slide.levels:
            known, asked = refer_to(own), refer_to(slide)
            if known is None or asked is None or known.sha256 != asked.sha256:
                problem = f"the measured spots of {self.given.name} lie on another slide ({own.name})"
                remedy = "guide it by spots that were measured on this very slide"
                raise SlideError(problem, where=slide.path, remedy=remedy)
        factor = slide.mpp / own.mpp
        given = self.given
        given = replace(given, centres_um=given.centres_um * factor, pitch_um=given.pitch_um * factor)
        return replace(self, given=given)

    def guided(
        self,
        fitted: FittedPredictor,
        genes: Sequence[str],
        features: Floats,
        centres_um: Wide,
        slide: Floats | None,
        device: torch.device,
    ) -> tuple[TilePredictions, Guidance]:
        """What a model says of tiles, and what that becomes by the given spots.

        `genes`: of the model; `features`, `centres_um` and `slide`: as `Predictor.predict_encoded` is given
        them. Raises `TableError` if the given spots have none of the genes.
        """
        here = set(self.given.genes)
        columns = np.array([number for number, gene in enumerate(genes) if gene in here], dtype=np.int64)
        if not len(columns):
            problem = f"the given spots have none of the model's {len(genes)} genes ({genes[0]} and others)"
            remedy = "use a model of the same species and kind of gene names"
            raise TableError(problem, where=self.given.name, remedy=remedy)
        joined, places, rows = self._among(features, centres_um)
        inputs = fitted.read(joined, places, slide)
        said = fitted.predict(inputs, device)
        unit, trust = fitted.deviation[columns], fitted.trust.astype(np.float64)
        values = fitted.values[:, columns] - np.average(fitted.values[:, columns], axis=0, weights=trust)
        whole, scale = joined if slide is None else slide, fitted.space.descriptors
        prior = (said.expression[:, columns] - fitted.mean[columns]) / unit
        view = self._view(joined, places, whole)
        own = view.features.shape[1]
        units = (scale[0][:own], scale[1][:own])
        view = replace(view, fallback=units, embedding=fitted.embed(inputs, device), prior=prior)
        covariance = (values * trust[:, None]).T @ values / trust.sum()
        named = [genes[column] for column in columns]
        found = self._weigh(view, rows, named, unit, covariance, len(features))
        told = said[: len(features)]
        expression = np.array(told.expression)
        expression[:, columns] = found.expression
        return replace(told, expression=expression), replace(found, expression=expression, columns=columns)

    def alone(
        self, genes: Sequence[str], features: Floats, centres_um: Wide, slide: Floats | None = None
    ) -> Guidance:
        """What the given spots say of other tiles without a model, for genes that they have."""
        joined, places, rows = self._among(features, centres_um)
        view = self._view(joined, places, joined if slide is None else slide)
        unit = panel_expression(self.given, genes).std(axis=0)
        unit = np.where(unit > 1e-6, unit, 1.0).astype(np.float32)
        return self._weigh(view, rows, genes, unit, None, len(features))

    def _among(self, features: Floats, centres_um: Wide) -> tuple[Floats, Wide, Numbers]:
        """The tiles, then the given spots that are none of them; and the row of every given spot."""
        from scipy.spatial import cKDTree

        given = self.given
        far, rows = cKDTree(centres_um).query(given.centres_um)
        new = far > _SAME * given.pitch_um
        rows = np.where(new, len(features) + np.cumsum(new) - 1, rows).astype(np.int64)
        joined = np.concatenate([features, given.features[new]])
        return joined, np.concatenate([centres_um, given.centres_um[new]]), rows

    def _view(self, features: Floats, centres_um: Wide, whole: Floats) -> SlideView:
        """What kernels compare: of a joined encoder the first part, the others' many channels drown it."""
        own = slice(self.given.parts[0] if self.given.parts else None)
        return SlideView(features[:, own], centres_um, self.given.pitch_um, whole[:, own])

    def _weigh(
        self,
        view: SlideView,
        rows: Numbers,
        genes: Sequence[str],
        unit: Floats,
        covariance: Wide | None,
        count: int,
    ) -> Guidance:
        """Learn every answer, weigh them by what inner folds say, and answer for the view's first tiles."""
        target = (panel_expression(self.given, genes) / unit).astype(np.float64)
        spots = GivenSpots(rows, target, spot_weights([self.given]))
        prior = None if view.prior is None else view.prior.astype(np.float64)
        answers = SpotAnswers(kernels_of(view), spots, prior, covariance)
        asked = np.delete(view.centres_um, rows, axis=0)
        folds = [answers.held_out(held) for held in folds_like(self.given.centres_um, asked, view.pitch_um)]
        shares = weighed(folds)
        alone = np.array([float(not answer.kernel) for answer in answers.every])
        alone_r, guided_r = _correlations(folds, alone), _correlations(folds, shares)
        if alone_r.mean() > guided_r.mean() + _CLEARLY:  # nothing was learned
            shares, guided_r = alone, alone_r
        told = []
        for fold in folds:
            said = (fold.level + np.einsum("a,asg->sg", shares, fold.told)) * unit
            measured = (fold.measured * unit).astype(np.float32)
            said = np.maximum(said, 0).astype(np.float32)
            told.append(HeldOutTissue(said, measured, None, np.ones(len(said)), known=True))
        expression, behind, pulled = answers.mixed(shares, count)
        written = np.maximum(expression * unit, 0).astype(np.float32)
        ways = {str(answer): float(share) for answer, share in zip(answers.every, shares, strict=True)}
        scores, given = (alone_r, guided_r, conformal(told)), np.isin(np.arange(count), rows)
        pull = (behind, pulled, answers.leaning(shares))
        return Guidance(written, np.arange(len(genes)), ways, *scores, given, self.given, *pull)


def _correlations(folds: Sequence[HeldOutSpots], shares: Wide) -> Wide:
    """Each gene's r over what was held out, centred per fold: folds differ in their level."""
    said = [np.einsum("a,asg->sg", shares, fold.told) for fold in folds]
    parts = [
        [values - values.mean(axis=0) for values in (told, fold.measured)]
        for told, fold in zip(said, folds, strict=True)
    ]
    told, measured = (np.concatenate(side).astype(np.float32) for side in zip(*parts, strict=True))
    return gene_correlation(told, measured)
