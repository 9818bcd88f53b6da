"""The predictor: fit it on measured sections, let it write expression where there is only an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SectionError
from histoscribe.models import Card, Estimator
from histoscribe.predictor.encoded import EncodedSection, encode_section
from histoscribe.predictor.settings import KIND, PredictorSettings
from histoscribe.predictor.variants.variant import variant_named
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.features import TileEncoder
    from histoscribe.predictor.core import Fitted, Told
    from histoscribe.section import Section
    from histoscribe.slide import Slide
    from histoscribe.tiles import Region, Tiles

_SAMPLED = 500


class Predictor(Estimator[PredictorSettings, "Fitted"]):
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
    panel: tuple[str, ...] | None = None

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
        super().__init__(
            variant_named(variant).settings(**settings), seed=seed, device=device, licence=licence
        )
        self.panel = None if panel is None else tuple(panel)

    def fit(
        self,
        sections: Sequence[Section],
        *,
        encoder: TileEncoder | None = None,
        crops: bool = True,
        types: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Predictor:
        """Learn from measured sections that lie on their slides.

        Parameters
        ----------
        sections : sequence of Section
        encoder : TileEncoder, optional
            The built-in one if not given.
        crops : bool
            Whether the model keeps small pictures of its reference spots to show as evidence. Leave them
            out where the slides may not be passed on.
        types : str or path, optional
            Where spot types come from: `nuclei`, or a folder of labels or cells; see `spot_types.typed`.
            Clusters of the images if not given.
        progress : Progress, optional

        Raises
        ------
        SectionError
            If a section has no slide or no counts.
        TableError
            If counts are not counts, or the sections have no gene in common.
        """
        from histoscribe.features import encoder_named
        from histoscribe.predictor.training.spot_types import typed

        chosen = encoder or encoder_named("builtin")
        encoded = [encode_section(section, chosen, crops=crops, progress=progress) for section in sections]
        settings = self.settings
        if types is not None:
            encoded = typed(encoded, sections, types, chosen)
            settings = replace(settings, type_source="given")
        return self._fit(encoded, settings, chosen, progress)

    def fit_encoded(
        self,
        sections: Sequence[EncodedSection],
        *,
        encoder: TileEncoder | None = None,
        progress: Progress | None = None,
    ) -> Predictor:
        """Learn from sections whose tiles have been described already; see `fit`.

        Parameters
        ----------
        sections : sequence of EncodedSection
        encoder : TileEncoder, optional
            What described them; needed to predict on slides.
        progress : Progress, optional
        """
        return self._fit(sections, self.settings, encoder, progress)

    def _fit(
        self,
        sections: Sequence[EncodedSection],
        settings: PredictorSettings,
        encoder: TileEncoder | None,
        progress: Progress | None,
    ) -> Predictor:
        from histoscribe.predictor.training.learning import learn

        fitted, card = learn(
            sections,
            settings,
            seed=self.seed,
            device=self.device,
            panel=self.panel,
            licence=self.licence,
            encoder=encoder,
            progress=progress or Progress(),
        )
        self._encoder = encoder
        return self._learned(fitted, card)

    def predict_encoded(
        self, features: NDArray[np.float32], centres_um: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Predict tiles that have been described already.

        Parameters
        ----------
        features : ndarray, shape (tiles, d)
            By the encoder of the training sections.
        centres_um : ndarray, shape (tiles, 2)
            As (row, column).

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
        return self._told(features, centres_um).expression

    def predict(
        self,
        slide: Slide,
        tiles: Tiles,
        *,
        units: Tiles | None = None,
        name: str | None = None,
        patient: str | None = None,
        progress: Progress | None = None,
    ) -> AnnData:
        """Predict expression at tiles of a slide.

        Parameters
        ----------
        slide : Slide
            With known µm per pixel.
        tiles : Tiles
        units : Tiles, optional
            Tiles all over the slide's tissue, where `tiles` are a part of it: the model measures staining
            and structure in units of the whole.
        name : str, optional
            Of the result; the slide's name if not given.
        patient : str, optional
            The name if not given.
        progress : Progress, optional

        Returns
        -------
        AnnData
            With bounds, novelty, attention and evidence: see `histoscribe.predictor.output` for every key.

        Raises
        ------
        SlideError, ModelError, SectionError
        """
        from histoscribe.features import encode_tiles
        from histoscribe.predictor.explaining.attention import attention_maps
        from histoscribe.predictor.output import card_encoder, prediction_table

        card = self.card
        if len(tiles) == 0:
            raise SectionError(
                "there is no tile to predict", where=slide.path, remedy="choose a region that holds tissue"
            )
        self._encoder = self._encoder or card_encoder(card)
        features = encode_tiles(slide, tiles, self._encoder, progress=progress)
        whole = None if units is None else encode_tiles(slide, units, self._encoder, progress=progress)
        assert slide.mpp is not None  # encode_tiles refuses slides without
        centres_um = tiles.centres * slide.mpp
        told = self._told(features, centres_um, whole)
        return prediction_table(
            card,
            slide,
            tiles,
            told,
            attention=attention_maps(self.fitted, told.expression, centres_um, told.types, tiles.pitch_um),
            intervals=self.fitted.intervals,
            crops=self.fitted.crops,
            name=name or slide.name,
            patient=patient,
        )

    def predict_grid(
        self,
        slide: Slide,
        pitch_um: float,
        *,
        region: Sequence[Region | NDArray[np.float64]] | None = None,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> AnnData:
        """Predict a square grid over the tissue of a slide, or over drawn regions of it; see `predict`.

        Parameters
        ----------
        slide : Slide
        pitch_um : float
        region : sequence of Region or ndarray, optional
            As in `tiles.grid_tiles`. The rest of the slide's tissue is looked at in up to 500 tiles.
        name : str, optional
        progress : Progress, optional

        Raises
        ------
        RegionError, SettingError, SlideError, ModelError
        """
        from histoscribe.tiles import grid_tiles, sample_tiles

        tiles = grid_tiles(slide, pitch_um, region=region)
        units = None if region is None else sample_tiles(slide, self.fitted.pitch_um, _SAMPLED)
        return self.predict(slide, tiles, units=units, name=name, progress=progress)

    def predict_section(self, section: Section, *, progress: Progress | None = None) -> Section:
        """Predict at the spots of a section: same barcodes, same slide, none of its counts are read.

        Raises
        ------
        SectionError
            If it has no slide.
        TableError
            If its table shares no gene with the model.
        """
        from histoscribe.predictor.output import slide_to_predict
        from histoscribe.tiles import spot_tiles

        slide = slide_to_predict(section, self.genes)
        table = self.predict(
            slide, spot_tiles(section), name=section.name, patient=section.patient, progress=progress
        )
        return replace(section.with_table(table), slide=slide, warnings=())

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        from histoscribe.predictor.state import to_tensors

        return to_tensors(self.fitted)

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[PredictorSettings, Fitted]:
        from histoscribe.predictor.state import from_tensors

        fitted = from_tensors(tensors, card, where=where)
        return fitted.settings, fitted

    def _told(
        self,
        features: NDArray[np.float32],
        centres_um: NDArray[np.float64],
        slide: NDArray[np.float32] | None = None,
    ) -> Told:
        """All that the model says of tiles."""
        from histoscribe.features.device import resolve_device

        fitted = self.fitted
        features, centres_um = np.asarray(features, np.float32), np.asarray(centres_um, np.float64)
        fitted.check(features, centres_um)
        return fitted.tell(fitted.view(features, centres_um, slide), resolve_device(self.device))
