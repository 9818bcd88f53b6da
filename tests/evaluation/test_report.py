from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from histoscribe.errors import Cancelled, TableError
from histoscribe.evaluation import compare, write_report
from histoscribe.evaluation.figures import (
    SpotMap,
    expression_panels,
    limits_of,
    spot_figure,
    thumbnail,
    tissue_figure,
    to_svg,
)
from histoscribe.evaluation.report import shown_genes
from histoscribe.progress import Progress


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(simulated, tmp_path_factory):
    table = simulated.table[:, :70].copy()
    table.X = table.layers["truth"] + np.random.default_rng(0).normal(0, 0.4, table.shape).astype(np.float32)
    table.uns["histoscribe"] = {"training": [{"section": "S5", "patient": "P"}], "command": "<b>&run"}
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report([compare(simulated, replace(simulated, table=table))] * 2, path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_page_stands_alone(read, page):
    for tag, attributes in read.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png"))
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_page_says_what_matters(read):
    text = " ".join(read.text.split())
    for words in (
        "in training",
        "do not hold for new tissue",
        "S5",
        "Panel",
        "Target",
        "Command",
        "log1p",
        "200 µm",
    ):
        assert words in text
    assert "The other 20 genes" in text


def test_every_figure_is_named_and_every_header_has_a_scope(read):
    figures = [attributes for tag, attributes in read.tags if tag == "svg"]
    assert len(figures) == 2 * 7
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in figures)
    assert all(attributes.get("scope") for tag, attributes in read.tags if tag == "th")
    assert read.tags[1][1] == {"lang": "en"} or any(
        a.get("lang") == "en" for t, a in read.tags if t == "html"
    )


def test_foreign_text_is_escaped(page):
    assert "<b>&run" not in page
    assert "&lt;b&gt;&amp;run" in page


def test_gene_names_cannot_break_the_page(simulated, guess, tmp_path):
    evil = '<img src=x onerror="1">$\\frac$'
    measured, predicted = simulated.table.copy(), guess.table[:, :2].copy()
    for table in (measured, predicted):
        table.var_names = [evil, *table.var_names[1:]]
    predicted.X = np.random.default_rng(0).normal(size=predicted.shape).astype(np.float32)
    predicted.X[:, 0] = measured.layers["truth"][:, 0]
    write_report(
        compare(simulated.with_table(measured), replace(guess, table=predicted)), tmp_path / "report.html"
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "&lt;img" in page


def test_no_slide_and_few_genes_still_make_a_report(simulated, guess, tmp_path):
    bare = replace(simulated, slide=None)
    flat = guess.table[:, :2].copy()
    flat.X = np.full(flat.shape, 1.0, np.float32)
    one = compare(bare, replace(guess, table=flat, slide=None))
    assert shown_genes(one) == []
    write_report([one], tmp_path / "report.html")
    assert "–" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_nothing_is_written_when_there_is_nothing_or_it_is_stopped(simulated, guess, tmp_path):
    with pytest.raises(TableError, match="no comparison"):
        write_report([], tmp_path / "report.html")
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        write_report(compare(simulated, guess), tmp_path / "report.html", progress=progress)
    assert list(tmp_path.iterdir()) == []


def test_spot_figure_draws_tissue_and_panels(simulated):
    values = simulated.table.layers["truth"]
    panels = expression_panels(values[:, 0], values[:, 1], values[:, 2])
    assert [panel.title for panel in panels] == ["measured", "predicted", "truth", "predicted − measured"]
    assert panels[0].limits == panels[1].limits == panels[2].limits
    assert panels[3].limits[0] == -panels[3].limits[1]
    svg = to_svg(spot_figure(simulated, panels), "a & b")
    root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    assert root.get("aria-label") == "a & b"
    assert svg.count("data:image/png") == 5 + 2
    assert "200 µm" in svg
    assert len(spot_figure(simulated, panels[:1], with_tissue=False).axes) == 1
    assert "H&amp;E" not in to_svg(tissue_figure(replace(simulated, slide=None)), "spots")


def test_limits_widen_where_all_is_equal():
    low, high = limits_of(np.zeros(9))
    assert low < 0 < high
    assert SpotMap("x", np.zeros(9)).limits is None


@pytest.mark.parametrize("longest", [100, 420, 5000])
def test_thumbnail_fits(simulated, longest):
    assert max(thumbnail(simulated.slide, longest).shape) == min(longest, 1400)
