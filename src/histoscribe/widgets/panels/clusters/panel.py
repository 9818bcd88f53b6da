"""The Clusters panel: any category of the spots painted, clusters, marker genes, and scores of gene sets."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import napari
import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from histoscribe.errors import SectionError
from histoscribe.evaluation.clusters import expression_clusters, set_score
from histoscribe.evaluation.regions import differential_genes
from histoscribe.genes import read_gene_sets, shipped_gene_sets
from histoscribe.progress import Progress
from histoscribe.section import Section
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.colours import spread
from histoscribe.widgets.layers.layers import has_own_spots, section_of
from histoscribe.widgets.layers.making import CLUSTERED
from histoscribe.widgets.layers.maps import Map, class_marks, show_map
from histoscribe.widgets.parts.dialogs import path_to_read, telling
from histoscribe.widgets.parts.fields import ChoiceField, LayerField, class_columns, number_field
from histoscribe.widgets.parts.panel import Panel, Words, beside
from histoscribe.widgets.parts.tables import HEADINGS, MEANINGS, TableModel, table_view

CLUSTERS = "expression cluster"
"""The column of `obs` that holds the clusters found here; it goes into an h5ad with the section."""

_MOST = 40
_TESTED = ["score", "p_adjusted", "effective_spots"]
_CIRCULAR = " The clusters were made of these genes, so there are sizes of effect and no p values."


class ClustersPanel(Panel):
    """Paints categories and clusters of one section, and finds their marker genes."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._sets = shipped_gene_sets()
        meaning = "The spots that are coloured and clustered"
        self.spots = self.add(LayerField("spots", self.viewer, has_own_spots, "Spots", meaning))
        meaning = "A column of the section's table with 2 to 40 different values"
        self.column = self.add(ChoiceField("column", self._columns, "Category", meaning))
        self.legend = self.add(Words())
        meaning = "More gives more and smaller clusters"
        resolution = number_field("resolution", 1, 0.1, 10, label="Resolution", tooltip=meaning)
        self.resolution = self.add(resolution)
        paint = self.button("Paint", "Colour the spots by the category", self.paint, enabled=self._has_column)
        self.paint_button = paint
        meaning = "Group spots that express alike (Louvain's method), and paint the groups"
        self.add_run("Find clusters", meaning, paint, ready=lambda: self.spots.value is not None)
        meaning = "The class whose genes are looked for, against all other spots"
        self.class_ = self.add(ChoiceField("class", self._classes, "Markers of", meaning))
        self.markers_button = self.add(
            self.button("Marker genes", "Higher or lower there", self.find_markers, enabled=self._has_column)
        )
        self.words = self.add(Words())
        self.table = TableModel()
        self.view = self.add(table_view(self.table, "A click shows the gene", self.state.choose), stretch=1)
        self.view.setMinimumHeight(110)
        meaning = "Mean of the set's genes on each spot, in standard deviations"
        self.gene_set = self.add(ChoiceField("gene_set", self._offer_sets, "Gene set", meaning))
        self.open_button = self.button("Open GMT…", "Gene sets of your own, a set a line", self.open_sets)
        self.score_button = self.button(
            "Paint its score", meaning, self.score, enabled=lambda: self.spots.value is not None
        )
        self.add(beside(self.score_button, self.open_button))
        self.spots.changed.connect(self.reset_choices)
        self.column.changed.connect(self.reset_choices)
        self.finish(stretch=False)

    def refresh(self, *_: object) -> None:
        """Show the legend of the chosen category, and ask every rule again."""
        labels = self._labels()
        self.legend.setText("" if labels is None else _legend(labels))
        super().refresh()

    def start(self) -> None:
        """Cluster the spots, keep the clusters with the section, and paint them."""
        resolution = float(self.resolution.value)
        self.launch(self._section, partial(_clusters, resolution), partial(self._keep, resolution))

    def paint(self) -> None:
        """Paint the chosen category as a layer."""
        labels = self._labels()
        if labels is not None and self.spots.value is not None:
            names = _in_order(labels)
            numbers = np.array([names.index(one) for one in labels.tolist()], dtype=np.int64)
            column = str(self.column.value)
            found = Map(f"category {column}", column, "", numbers, classes=tuple(names))
            show_map(self.viewer, self.spots.value, found)

    def find_markers(self) -> None:
        """Look for the marker genes of the chosen class."""
        labels, name = self._labels(), str(self.class_.value)
        if labels is None:
            return

        def show(section: Section, frame: DataFrame) -> None:
            if own := self.column.value == CLUSTERS:
                frame = frame.drop(columns=_TESTED, errors="ignore")
                frame = frame.sort_values("effect", key=abs, ascending=False)
            self.table.show_frame(frame, HEADINGS, MEANINGS)
            words = f"{name} against all other spots, by {self.column.value}."
            self.words.setText(words + _CIRCULAR * own)

        self.launch(self._section, partial(_markers, labels, name), show)

    def score(self) -> None:
        """Paint the score of the chosen gene set."""
        with telling():
            name = str(self.gene_set.value)
            values = set_score(self._section(), self._sets[name]).astype(np.float32)
            unit = "standard deviations, mean of its genes"
            show_map(self.viewer, self.spots.value, Map("gene set", name, unit, values, spread(values)))

    def open_sets(self, path: Path | None = None) -> None:
        """Offer the gene sets of a GMT file; asks which if no path is given."""
        path = path or path_to_read(self, "Gene sets", "Gene sets (*.gmt)")
        if path is not None:
            with telling():
                self._sets = read_gene_sets(path) | self._sets
                self.reset_choices()
                self.gene_set.value = self.gene_set.values[0]

    def _section(self) -> Section:
        section = section_of(self.spots.value)
        if section is None:
            raise SectionError("there are no spots", remedy="open or predict a section first")
        return section

    def _keep(self, resolution: float, section: Section, labels: NDArray[np.str_]) -> None:
        section.table.obs[CLUSTERS] = labels
        CLUSTERED[section] = {CLUSTERS: resolution}
        self.reset_choices()
        self.column.value = CLUSTERS
        self.paint()

    def _labels(self) -> NDArray[np.str_] | None:
        """The category of each spot; None where none is chosen."""
        section, column = section_of(self.spots.value), self.column.value
        if section is None or column not in section.table.obs:
            return None
        return np.asarray(section.table.obs[column].astype(str), dtype=np.str_)

    def _has_column(self) -> bool:
        return self.free and self.column.value is not None

    def _columns(self) -> list[str]:
        section = section_of(self.spots.value)
        if section is None:
            return []
        return class_columns(section.table.obs, _MOST)

    def _classes(self) -> list[str]:
        labels = self._labels()
        return [] if labels is None else _in_order(labels)

    def _offer_sets(self) -> list[tuple[str, str]]:
        return [(name.replace("_", " ").lower(), name) for name in self._sets]


def _clusters(resolution: float, section: Section, progress: Progress) -> NDArray[np.str_]:
    progress.report("loading libraries")
    load_libraries("sklearn.decomposition", "networkx", "histoscribe.evaluation.clusters")
    return expression_clusters(section, resolution=resolution, progress=progress)


def _markers(labels: NDArray[np.str_], name: str, section: Section, progress: Progress) -> DataFrame:
    progress.report("loading libraries")
    load_libraries("numba", "scanpy", "histoscribe.evaluation.regions")
    return differential_genes(section, labels, name, progress=progress)


def _in_order(labels: NDArray[np.str_]) -> list[str]:
    """The classes: words by the alphabet, numbers by their size."""
    return sorted(set(labels.tolist()), key=lambda name: (name.isdigit() * len(name), name))


def _legend(labels: NDArray[np.str_]) -> str:
    names = _in_order(labels)
    told = zip(class_marks(names), names, strict=True)
    return "  ".join(f"{mark}&nbsp;({(labels == name).sum():,})" for mark, name in told)
