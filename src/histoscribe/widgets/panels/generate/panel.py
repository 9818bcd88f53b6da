"""The Generate panel: a primary, normal tissue, a site; hypothetical metastases come back, to look at."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import napari
import numpy as np
from magicgui.widgets import CheckBox, SpinBox
from napari.utils.notifications import show_info

from histoscribe.errors import SettingError
from histoscribe.generator.result import write_generated
from histoscribe.palette import PALE, SPOT, TISSUE, TUMOUR
from histoscribe.record import record_of
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.making import made, written
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.panels.generate import generation
from histoscribe.widgets.parts.dialogs import save
from histoscribe.widgets.parts.fields import (
    ChoiceField,
    RegionField,
    SourceField,
    is_section,
    source_of,
    tick_field,
    words_field,
)
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, Rule, Words
from histoscribe.widgets.parts.plots import DotMap, Dots
from histoscribe.widgets.parts.tables import Column, TableModel, table_view
from histoscribe.widgets.state.preferences import remember_model


def _words(name: object) -> str:
    return str(name).replace("_", " ").lower()


GENES = (
    Column("gene", lambda row: str(row.Index), key=lambda row: str(row.Index), left=True),
    Column("log2 change", lambda row: f"{row.change:+.2f}", key=lambda row: row.change),
    Column("primary", lambda row: f"{row.primary:.1f}", key=lambda row: row.primary),
    Column("generated", lambda row: f"{row.generated:.1f}", key=lambda row: row.generated),
)
SETS = (
    Column("gene set", lambda row: _words(row.Index), key=lambda row: str(row.Index), left=True),
    Column("log2 change", lambda row: f"{row.change:+.2f}", key=lambda row: row.change),
    Column("95 % of samples", lambda row: f"{row.low:+.2f} to {row.high:+.2f}", key=lambda row: row.low),
    Column("genes", lambda row: f"{int(row.genes)}", key=lambda row: row.genes),
)
COMPONENTS = (
    Column("gene set", lambda row: _words(f"{row.gene_set} ({row.component}{row.end})"), left=True),
    Column("adjusted p", lambda row: f"{row.adjusted:.0e}", key=lambda row: row.adjusted),
    Column("from primary", lambda row: f"{row.from_primary:.0%}", key=lambda row: row.from_primary),
    Column("from site", lambda row: f"{row.from_site:.0%}", key=lambda row: row.from_site),
    Column("genes", lambda row: str(row.genes), left=True),
)


def map_groups(result: generation.Generated) -> list[Dots]:
    """The generated samples among the model's training metastases, nearest kin above."""
    cancer, site = (str(result.table.obs[column].iloc[0]) for column in ("cancer", "site"))
    names = np.array(result.known_names)
    at_site, pair = np.char.endswith(names, f" at {site}"), names == f"{cancer} at {site}"
    kin = (
        (~at_site, PALE, "other metastases"),
        (at_site & ~pair, SPOT, f"other cancers at {site}"),
        (pair, TISSUE, f"{cancer} at {site}"),
    )
    known = [Dots(name, result.known[rows], colour) for rows, colour, name in kin if rows.any()]
    return [*known, Dots("generated", result.places, TUMOUR, 5.0)]


def score_map(result: generation.Generated) -> Map:
    """How far each spot lies towards the metastasis; a quarter of the way at least has the full colour."""
    score = np.asarray(result.scores)
    most = max(_LEAST_SCORE, float(np.nanpercentile(np.abs(score), 98)))
    title, unit = f"towards {result.request.site}", "0 as the primary, 1 the whole way"
    return Map("towards", title, unit, score, (-most, most), DIFFERENCE)


_REFERENCES, _CHOSEN = "The model's own", "A layer or table"
_ANY = "recognise it"
_MOST_GENES = 200
_LEAST_SCORE = 0.25
NOTICE = (
    "These profiles are made by a model. They are hypotheses for research: not measured, "
    "not a diagnosis, not a prognosis."
)


@dataclass(frozen=True, eq=False)
class ParentFields:
    """The fields of one parent: a layer of spots or a table, whole or inside drawn regions."""

    source: SourceField
    inside: CheckBox
    region: RegionField

    @property
    def is_section(self) -> bool:
        """Whether there are spots that a region can hold."""
        return is_section(self.source.source)

    def parent(self, role: str) -> generation.Parent:
        """The choice; `HistoscribeError` if nothing is chosen, or no region drawn where one should be."""
        source = self.source.source
        if source is None:
            raise SettingError(f"there is no {role}", remedy="open a section or a table of samples first")
        if not is_section(source) or not self.inside.value:
            return generation.Parent(source)
        outlines = self.region.outlines(self.source.choice.value)
        if outlines is None:
            remedy = "press Draw and outline the spots"
            raise SettingError(f"no region is drawn for the {role}", remedy=remedy)
        return generation.Parent(source, tuple(outlines))


class GeneratePanel(Panel):
    """Generates metastases of a primary and shows how they differ from it."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.result: generation.Generated | None = None
        self.model = self.add(ModelField("model", "generator"))
        self.primary = self._add_parent("primary", "Primary", lambda: True)
        self.cancer = self.add(
            ChoiceField("cancer", lambda: [_ANY, *self._known("cancers")], "Cancer", "Of the primary")
        )
        self.site = self.add(
            ChoiceField("site", lambda: self._known("sites"), "Site", "The organ of the metastasis")
        )
        meaning = "The organ without a tumour: as the model knows it, or your own"
        self.tissue = self.add(words_field("tissue", (_REFERENCES, _CHOSEN), "Normal tissue", meaning))
        self.normal = self._add_parent("normal", "from", lambda: self.tissue.value == _CHOSEN)
        meaning = "How many profiles are generated"
        self.samples = self.add(
            SpinBox(name="samples", value=100, min=1, max=10_000, label="Profiles", tooltip=meaning)
        )
        meaning = "The same seed gives the same profiles"
        self.seed = self.add(SpinBox(name="seed", value=0, min=0, max=10**9, label="Seed", tooltip=meaning))
        meaning = "The imputer fills in the model's genes that the section or table lacks"
        self.restore_first = self.add(tick_field("restore", "Restore missing genes first", meaning))
        self.imputer = self.add(
            ModelField("imputer", "imputer", label="Imputer"), visible=lambda: bool(self.restore_first.value)
        )
        self.lacking = self.add(Words())
        self.save_button = self.button(
            "Save…", "The generated profiles as h5ad or CSV", self.save, enabled=self._has_result
        )
        self.add_run(
            "Generate",
            "Generate profiles of metastases from these parents",
            ready=lambda: self.primary.source.source is not None and self.site.value is not None,
            undo="Take the generated profiles and the painted score away again",
        )
        self.add(self.save_button)
        self.add(Words(NOTICE))
        self._add_views()
        for field in (self.cancer, self.site):
            self.model.changed.connect(field.reset_choices)
        self.finish(stretch=False)

    @property
    def undoable(self) -> bool:
        """Whether something was generated."""
        return self.result is not None

    def refresh(self, *_: object) -> None:
        """Ask every rule again, and say what the primary lacks."""
        primary, restored = self.primary.source.source, bool(self.restore_first.value)
        self.lacking.setText(generation.what_is_lacking(self.model.card, primary, restored))
        super().refresh()

    def request(self) -> generation.GenerateRequest:
        """What the panel asks for as it stands; `HistoscribeError` if anything is missing or amiss."""
        if self.model.card is None or self.model.folder is None:
            raise SettingError("there is no generator", remedy="choose the folder of a trained generator")
        return generation.GenerateRequest(
            self.model.folder,
            self.primary.parent("primary"),
            self.normal.parent("normal tissue") if self.tissue.value == _CHOSEN else None,
            self.site.value,
            None if self.cancer.value == _ANY else self.cancer.value,
            self.samples.value,
            self.seed.value,
            self.imputer.folder if self.restore_first.value else None,
        )

    def start(self) -> None:
        """Generate; the result fills the tables and paints a score."""
        self.launch(self.request, generation.generate, self._show_result)

    def forget(self) -> None:
        """Empty the tables and the map."""
        self.result = None
        for model in (self.genes, self.sets, self.components):
            model.show_rows(())
        self.map.show_groups(())

    def save(self, path: Path | None = None) -> None:
        """Write the generated profiles; asks for a file where none is given."""
        if self.result is not None:
            write = partial(write_generated, self.result.table)
            kinds = "Tables (*.h5ad *.csv)"
            if file := save(self, "Generated profiles", "synthetic.h5ad", kinds, path, write):
                written(self.viewer, file, self.result)

    def _show_result(
        self, request: generation.GenerateRequest, result: generation.Generated
    ) -> Generator[None]:
        """Fill the tables, add the layer of scores: step by step, so that the window answers in between."""
        self.undo()
        remember_model(request.model)
        self.result = result
        made(self.viewer, result, generation.step_of(request))
        self.genes.show_rows(list(result.genes.head(_MOST_GENES).itertuples()))
        self.sets.show_rows(list(result.sets.itertuples()))
        self.components.show_rows(list(result.components.itertuples()))
        self.map.show_groups(map_groups(result))
        if result.scores is not None and self.primary.source.has(request.primary.source):
            yield
            offered, source = self.primary.source.choice.values, request.primary.source
            beside = next(one for one in offered if source_of(one) is source)
            self.added = show_map(self.viewer, beside, score_map(result))
        for note in record_of(result.table).notes[-2:]:
            show_info(note[0].upper() + note[1:] + ".")

    def _add_parent(self, name: str, label: str, wanted: Rule) -> ParentFields:
        meaning = "A layer of spots, or a table of samples"
        fields = ParentFields(
            SourceField(name, self.viewer, label, meaning),
            tick_field(f"{name}_inside", "Only spots in a drawn region", "Outline them, or choose a layer"),
            RegionField(f"{name}_region", self.viewer),
        )
        self.add(fields.source, visible=wanted)
        self.add(fields.inside, visible=lambda: wanted() and fields.is_section)
        self.add(fields.region, visible=lambda: wanted() and fields.is_section and bool(fields.inside.value))
        return fields

    def _add_views(self) -> None:
        self.genes, self.sets, self.components = (TableModel(one) for one in (GENES, SETS, COMPONENTS))
        self.map = DotMap("main direction of metastases", "second direction")
        self.views = self.add_tabs("views")
        self.views.setMinimumHeight(260)
        self.rule(self.views, enabled=self._has_result)
        for part, title in (
            (table_view(self.genes), "Genes"),
            (table_view(self.sets), "Gene sets"),
            (self.map, "Map"),
            (table_view(self.components), "Components"),
        ):
            with self.tab(self.views, title):
                self.add(part, stretch=1)

    def _has_result(self) -> bool:
        return self.free and self.result is not None

    def _known(self, what: str) -> list[str]:
        card = self.model.card
        return [] if card is None else [str(one) for one in card.settings.get(what, ())]
