"""Files that were once read wrongly, kept beside the real data: each is read right, or refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscribe.errors import SectionError
from histoscribe.formats import open as open_any

pytestmark = pytest.mark.realdata


@pytest.fixture
def cases(real_data: Path) -> Path:
    folder = real_data.parent / "cases"
    if not (folder / "README.md").exists():
        pytest.skip(f"no cases at {folder}")
    return folder


def said(opened: Any, *words: str) -> bool:
    warnings = (*opened.warnings, *getattr(getattr(opened, "slide", None), "warnings", ()))
    return all(any(word in warning for warning in warnings) for word in words)


def test_bins_state_their_scale(cases: Path) -> None:
    found = open_any(cases / "h5ad-visium-hd-bins" / "bins8.h5ad")
    assert (found.mpp, found.pitch_um, found.spot_um) == (0.2738, 8.0, 8.0)


def test_a_replaced_hires_image_is_refused(cases: Path) -> None:
    with pytest.raises(SectionError, match="hires and lowres images contradict each other"):
        open_any(cases / "sr-hires-changed" / "hires-doubled")


def test_transparent_glass_is_white_and_said(cases: Path) -> None:
    section = open_any(cases / "sr-hires-changed" / "hires-transparent")
    slide = open_any(cases / "slides" / "rgba-transparent-v05.ome.zarr")
    for image, opened in ((section.slide, section), (slide, slide)):
        assert np.percentile(np.asarray(image.levels[-1].pixels[:]), 90) > 200
        assert said(opened, "transparent")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("h5ad-first-spot-nan/sample.h5ad", ["spots without a position were left out (1)"]),
        ("h5ad-cellxgene-slideseq/slideseq.h5ad", []),
        ("h5ad-cellxgene-slideseq/not-single.h5ad", []),
        ("h5ad-cellxgene-visium/cellxgene.h5ad", ["raw was taken", 'named by var["feature_name"]']),
        ("h5ad-counts-in-raw/raw.h5ad", ["raw was taken"]),
        ("sr-gz-spatial", []),
    ],
)
def test_sections_have_their_spots_counts_and_symbols(name: str, words: list[str], cases: Path) -> None:
    found = open_any(cases / name)
    assert found.table.shape == (388 - name.startswith("h5ad-first"), 300)
    assert found.genes[:3] == ["EPCAM", "KRT8", "KRT18"]
    assert (found.table.X.data % 1 == 0).all()
    assert (found.slide is None) == ("slideseq" in name)
    assert said(found, *words)


def test_an_exponent_is_a_number(cases: Path) -> None:
    assert open_any(cases / "slides" / "svs-mpp-exponent.svs").mpp == 0.252


@pytest.mark.parametrize(
    ("name", "shape", "first", "words"),
    [
        ("wt-ko.csv", (6, 17045), "WT1", []),
        ("cell-lines.csv", (6, 17045), "A549", []),
        ("text-column-metadata.gct", (4, 4000), "sample_0_x", ["pr_gene_title"]),
        ("numeric-row-metadata.gct", (4, 4000), "sample_0_x", ["gene_length"]),
        ("featurecounts.txt", (6, 1500), "tumor_01", ["Length"]),
        ("excel-iso-dates.csv", (6, 1500), "tumor_01", ["2023-03-01 → MARCH1"]),
        ("htseq-specials.tsv", (6, 1500), "tumor_01", ["__no_feature"]),
    ],
)
def test_tables(name: str, shape: tuple[int, int], first: str, words: list[str], cases: Path) -> None:
    found = open_any(cases / "tables" / name)
    assert found.table.shape == shape
    assert found.table.obs_names[0] == first
    assert said(found, *words)


def test_one_empty_ring_costs_itself(cases: Path) -> None:
    path = cases / "geojson" / "empty-polygon-among-others.geojson"
    with pytest.warns(UserWarning, match="left out as damaged: area 1 of Empty"):
        assert len(open_any(path)) >= 1
