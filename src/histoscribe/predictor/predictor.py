"""The predictor: fit it on measured sections, let it write expression where there is only an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Wide
from histoscribe.errors import ModelError, SectionError, TableError
from histoscribe.features import TileEncoder, describe_tiles, encode_tiles
from histoscribe.features.device import one_thread, resolve_device
from histoscribe.features.scale import checked_scale
from histoscribe.models import Card, Estimator
from histoscribe.predictor.encoded import EncodedSection, encode_section
from histoscribe.predictor.explaining.attention import attention_maps
from histoscribe.predictor.guiding.guide import Guidance, Guide
from histoscribe.predictor.judging import judge, times_coarser
from histoscribe.predictor.model import FittedPredictor, TilePredictions
from histoscribe.predictor.settings import KIND, PredictorSettings
from histoscribe.predictor.storage import from_tensors, to_tensors
from histoscribe.predictor.target import common_genes, require_genes
from histoscribe.predictor.training.fitting import FitOptions
from histoscribe.predictor.training.learning import choose_encoder, learn
from histoscribe.predictor.variants.variant import variant_named
from histoscribe.progress import Progress
from histoscribe.record import record_of
from histoscribe.rows import Held, Rows
from histoscribe.section import Section
from histoscribe.section.assembly import describe
from histoscribe.slide import Slide
from histoscribe.tiles import Region, Tiles, grid_tiles, image_fineness, sample_tiles, spot_tiles
from histoscribe.verdict import VerdictKind


class Predictor(Estimator[PredictorSettings, "FittedPredictor"]):
    """Expression from histology.

    Parameters
    ----------
    variant : str
        `histoscribe`, or `published` for GR2ST as in the paper.
    seed : int
        The same seed gives the same predictor on the same CPU.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
    licence : str
        Under which terms the trained weights may be used; goes into the card.
    panel : sequence of str, optional
        The genes to predict; the most variable ones of the training sections if not given.
    **settings
        Changes to the defaults: `epochs`, `members`, `panel_size` and others of `PredictorSettings`.

    Raises
    ------
    SettingError
        If a setting is unknown or out of range.
    """

    kind = KIND
    reads_images = True
    panel: tuple[str, ...] = ()
    guide: Guide | None = None
    """The measured spots that it learns from where it predicts; see `guided`."""

    def __init__(
        self,
        variant: str = "histoscribe",
        *,
        seed: int = 0,
        device: str = "auto",
        licence: str = "not stated",
        panel: Sequence[str] | None = None,
        **settings: Any,
    ) -> None:
        chosen = variant_named(variant).settings(**settings)
        super().__init__(chosen, seed=seed, device=device, licence=licence)
        self.panel = tuple(panel or ())

    def fit(
        self,
        sections: Sequence[Section],
        *,
        encoder: TileEncoder | str | None = None,
        crops: bool = True,
        types: str | PathLike[str] | None = None,
        devices: int = 1,
        checkpoint: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Predictor:
        """Learn from measured sections that lie on their slides.

        Parameters
        ----------
        encoder : TileEncoder or str, optional
            An encoder or its name, `both` of those that come along if not given. `auto`: one of them or
            both, whichever inner folds choose.
        crops : bool
            Whether the model keeps small pictures of its reference spots to show as evidence. Leave them
            out where the slides may not be passed on.
        types : str or path, optional
            Where spot types come from: `nuclei`, or a folder of labels or cells; see `spot_types.typed`.
            Clusters of the images if not given.
        devices : int
            How many of the device train each network together, each in a process of its own.
        checkpoint : path, optional
            A folder that keeps the state of the training; where it holds one of the same sections and
            settings, training goes on from there.

        Raises
        ------
        SectionError
            If a section has no slide or no counts.
        TableError
            If counts are not counts, or the sections have no gene in common.
        """
        from histoscribe.features import encoder_named
        from histoscribe.predictor.training.spot_types import typed

        if sections:
            common_genes(sections)
        for section in sections:
            require_genes(section, self.panel)
            section.scaled_slide  # noqa: B018 - refused before hours of describing the others
        automatic = encoder == "auto"
        named = "both" if encoder is None or automatic else encoder
        chosen = encoder_named(named, device=self.device) if isinstance(named, str) else named
        encoded = [encode_section(section, chosen, crops=crops, progress=progress) for section in sections]
        settings = self.settings
        if types is not None:
            encoded = typed(encoded, sections, types, chosen)
            settings = replace(settings, type_source="given")
        if automatic:
            chosen, encoded = choose_encoder(encoded, self.panel, settings, self.device)
        return self._fit(encoded, settings, chosen, progress, devices, checkpoint)

    def fit_encoded(
        self,
        sections: Sequence[EncodedSection],
        *,
        encoder: TileEncoder | None = None,
        devices: int = 1,
        checkpoint: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Predictor:
        """Learn from sections whose tiles have been described already; see `fit`.

        Parameters
        ----------
        encoder : TileEncoder, optional
            What described them; needed to predict on slides.
        """
        return self._fit(sections, self.settings, encoder, progress, devices, checkpoint)

    def _fit(
        self,
        sections: Sequence[EncodedSection],
        settings: PredictorSettings,
        encoder: TileEncoder | None,
        progress: Progress | None,
        devices: int,
        checkpoint: str | PathLike[str] | None,
    ) -> Predictor:
        device = resolve_device(self.device)
        place, told = None if checkpoint is None else Path(checkpoint), progress or Progress()
        options = FitOptions(settings, self.panel, self.seed, device, told, devices=devices, checkpoint=place)
        return self._learned(*learn(sections, options, self.licence), encoder)

    def guided(self, section: Section, *, progress: Progress | None = None) -> Predictor:
        """The same model, which on this section's slide learns from the section's measured spots as well.

        What the model knows and what the spots say are weighed against each other on held-out spots, so that
        the better one is heard. Levels, intervals and each gene's reliability come from the spots.

        Parameters
        ----------
        section : Section
            8 measured spots or more on any part of the slide that is to be predicted.

        Raises
        ------
        SectionError
            If it has no slide, or fewer than 8 spots with counts.
        TableError
            If its table shares no gene with the model, or holds no counts.
        """
        self._check_genes(section)
        encoded = encode_section(section, self.encoder, crops=True, progress=progress)
        return self.guided_encoded(encoded, slide=section.scaled_slide)

    def guided_encoded(self, section: EncodedSection, *, slide: Slide | None = None) -> Predictor:
        """As `guided`, by spots whose tiles have been described already, on `slide` and no other."""
        found = copy(self)
        found.guide = Guide(section, slide)
        return found

    def predict(
        self,
        target: Section | Slide,
        *,
        pitch_um: float | None = None,
        region: Sequence[Region | Wide] | None = None,
        progress: Progress | None = None,
    ) -> Section:
        """Predict the spots of a section, or a square grid over a slide's tissue or over regions of it.

        Nothing of a section but its slide and its spots' places is read, and for the width of the intervals
        how many counts each spot has in all.

        Parameters
        ----------
        pitch_um : float, optional
            Of the grid. Where neither it nor `region` is given, a section is predicted at its own spots;
            otherwise it is the pitch of the training sections.
        region : sequence of Region or ndarray, optional
            As in `tiles.grid_tiles`. The rest of the slide's tissue is looked at in up to 500 tiles.

        Returns
        -------
        Section
            On the same slide, with bounds, novelty, attention and evidence in its table: see
            `histoscribe.predictor.output` for every key.

        Raises
        ------
        SectionError
            If the section has no slide.
        TableError
            If its table shares no gene with the model.
        RegionError, SettingError, SlideError, ModelError
            If the region or the pitch makes no sense, or slide or encoder cannot be used.
        """
        like = target if isinstance(target, Section) else None
        slide = target.scaled_slide if isinstance(target, Section) else target
        patient, name = None if like is None else like.patient, target.name
        predict = partial(self.predict_tiles, slide, name=name, patient=patient, like=like, progress=progress)
        if like is not None and pitch_um is None and region is None:
            self._check_genes(like)
            found = replace(like, table=predict(spot_tiles(like)).table, slide=slide, warnings=())
            describe(found, "predicted")
            return found
        units = None if region is None else sample_tiles(slide, self.fitted.pitch_um)
        return predict(grid_tiles(slide, pitch_um or self.fitted.pitch_um, region=region), units=units)

    def predict_tiles(
        self,
        slide: Slide,
        tiles: Tiles,
        *,
        units: Tiles | None = None,
        name: str | None = None,
        patient: str | None = None,
        like: Section | None = None,
        progress: Progress | None = None,
    ) -> Section:
        """Predict expression at tiles of a slide; see `predict`.

        Parameters
        ----------
        slide : Slide
            With known µm per pixel.
        units : Tiles, optional
            Tiles all over the slide's tissue, where `tiles` are a part of it: the model measures staining
            and structure in units of the whole.
        name : str, optional
            Of the result; the slide's name if not given.
        patient : str, optional
            The name if not given.
        like : Section, optional
            What was measured there: its genes are part of the verdict, its depth sets the width of the
            intervals.

        Raises
        ------
        SlideError, ModelError, SectionError
        """
        from histoscribe.predictor.output import predicted_section

        guide = None if self.guide is None else self.guide.on(slide)
        if len(tiles) == 0:
            remedy = "choose a region that holds tissue"
            raise SectionError("there is no tile to predict", where=slide.path, remedy=remedy)
        scale = checked_scale(slide) if like is None else ""
        fineness = image_fineness(slide, units or tiles, self.encoder.mpp)
        coarser = times_coarser(self.card, fineness, str(slide.path))
        features = describe_tiles(slide, tiles, self.encoder, progress=progress).features
        whole = None if units is None else encode_tiles(slide, units, self.encoder, progress=progress)
        assert slide.mpp is not None  # encode_tiles refuses slides without
        centres_um = tiles.centres * slide.mpp
        told, guidance = self._predict(features, centres_um, whole, guide, progress)
        attention = attention_maps(self.fitted, told.expression, centres_um, told.types, tiles.pitch_um)
        name = name or slide.name
        verdict = judge(
            self.card,
            self.fitted.familiar,
            told.novelty,
            features,
            section=name,
            patient=patient or name,
            coarser=coarser,
            genes=None if like is None else like.genes,
            scale=scale,
        )
        if guidance is not None:
            kind: VerdictKind = "same" if verdict.kind in ("like", "unlike") else verdict.kind
            verdict = replace(verdict, kind=kind, given=len(guidance.source.spots))
        depth = None if like is None else _depth(like, tiles)
        section = predicted_section(
            self.card,
            self.fitted,
            slide,
            tiles,
            told,
            attention,
            name=name,
            patient=patient,
            verdict=verdict,
            depth=depth,
        )
        if guidance is not None:
            guidance.write_into(section)
        return section

    def predict_encoded(self, features: Floats, centres_um: Wide, slide: Floats | None = None) -> Floats:
        """Predict tiles that have been described already.

        Parameters
        ----------
        features : ndarray, shape (tiles, d)
            By the encoder of the training sections.
        centres_um : ndarray, shape (tiles, 2)
            As (row, column).
        slide : ndarray, shape (other tiles, d), optional
            Descriptors of tiles all over the slide, where the tiles are a part of it.

        Returns
        -------
        ndarray of float32, shape (tiles, genes)
            log1p of counts per 10,000, never negative.

        Raises
        ------
        ModelError
            If the predictor has not been fitted, or the descriptors are of another length.
        SectionError
            If a descriptor or position is not finite.
        """
        return np.asarray(self._predict(features, centres_um, slide, self.guide)[0].expression)

    def explain_encoded(self, features: Floats, centres_um: Wide) -> tuple[Floats, Guidance]:
        """As `predict_encoded`, with what came of guiding; `ModelError` where nothing guides."""
        told, guidance = self._predict(features, centres_um, None, self.guide)
        if guidance is None:
            raise ModelError("nothing guides this model", remedy="give it spots with guided_encoded")
        return np.asarray(told.expression), guidance

    def _predict(
        self,
        features: Held,
        centres_um: Wide,
        slide: Floats | None,
        guide: Guide | None,
        progress: Progress | None = None,
    ) -> tuple[TilePredictions, Guidance | None]:
        fitted, device = self.fitted, resolve_device(self.device)
        centres_um = np.asarray(centres_um, np.float64)
        if guide is not None or not isinstance(features, Rows):
            features = np.asarray(features, np.float32)
        fitted.check(features, centres_um)
        progress = progress or Progress()
        with one_thread():  # the same digits however many threads are free
            if guide is not None:
                assert not isinstance(features, Rows)
                return guide.guided(fitted, self.genes, features, centres_um, slide, device)
            return fitted.predict(fitted.read(features, centres_um, slide, progress), device, progress), None

    def _check_genes(self, section: Section) -> None:
        genes = self.genes
        if section.genes and not set(section.genes) & set(genes):
            raise TableError(
                f"no gene of the table is among the model's {len(genes)} "
                f"({genes[0]} and others; the table has {section.genes[0]} and others)",
                where=section.name,
                remedy="use a model of the same species and kind of gene names",
            )

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        return to_tensors(self.fitted)

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[PredictorSettings, FittedPredictor]:
        fitted = from_tensors(tensors, card, where=where)
        return fitted.settings, fitted


def _depth(section: Section, tiles: Tiles) -> Wide | None:
    """Counts of each tile: those of its spot, elsewhere those of the median spot; None where nothing was
    counted."""
    if not record_of(section.table).measured or not section.genes:
        return None
    own = np.asarray(section.table.X.sum(axis=1), dtype=np.float64).reshape(-1)
    if tiles.names == tuple(map(str, section.table.obs_names)):
        return own
    return np.full(len(tiles), float(np.median(own)))
