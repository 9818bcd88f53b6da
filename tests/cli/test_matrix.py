"""Every kind of input by every way in: each verb that takes one, the viewer's reader, drag and drop."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import anndata
import imagecodecs
import numpy as np
import pandas as pd
import pytest
import yaml

import histoscribe
from histoscribe.errors import HistoscribeError
from histoscribe.section import write_section
from histoscribe.simulate.section import simulate_section
from histoscribe.slide import write_slide
from histoscribe.tiles import Region, write_regions
from histoscribe.widgets.contributions.readers import get_reader, read
from runs.hd import simulate_hd
from runs.spaceranger import write_spaceranger
from runs.spaceranger_hd import write_spaceranger_hd

MANIFEST = Path(histoscribe.__file__).with_name("napari.yaml")
VIEW = {
    "gene": "", "more": [], "layout": "blend", "pinned": [], "colour_map": "viridis", "low": 0, "high": 100,
    "shared": False, "side_by_side": False, "centre": [0, 0], "zoom": 1.0, "scale_bar": True,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What one input is, and how each way in refuses it: empty where it works."""

    name: str
    kind: str
    predict: str = ""
    convert: str = ""
    compare: str = ""
    impute: str = ""
    shown: bool = True
    words: tuple[str, ...] = ()
    dropped: bool = True


QUICK = ("slide.ome.tif", "section.h5ad", "bulk.csv.gz", "drawn.geojson")
NEITHER, NO_SECTION = "not a slide or a section", "not a section or a cohort"
NO_TABLE = "not a table of samples or a section or a cohort"
SCANNED = {"compare": NO_SECTION, "impute": NO_TABLE}
NO_SLIDE = "has no slide"
ROWS = (
    Row("slide.ome.tif", "slide", **SCANNED),
    Row("slide-without-ending", "slide", **SCANNED),
    Row("picture.png", "slide", words=("--mpp", "1"), dropped=False, **SCANNED),
    Row("slide.flat", "slide", dropped=False, **SCANNED),
    Row("dicom", "slide", **SCANNED),
    Row("run", "section"),
    Row("run/spatial", "section"),
    Row("GEO", "section"),
    Row("section.h5ad", "section"),
    Row("foreign.h5ad", "section", predict=NO_SLIDE),
    Row("from-r.h5ad", "section", predict=NO_SLIDE),
    Row("cells.h5ad", "section", predict=NO_SLIDE, compare="lie in different places"),
    Row("spatial-data-without-ending", "section"),
    Row("hd/binned_outputs/square_016um", "section"),
    Row("hd/segmented_outputs", "section"),
    Row("only-slices", "section", predict=NO_SLIDE),
    Row("cohort.csv", "cohort"),
    Row("hest", "cohort"),
    Row("hest/st/T1.h5ad", "section"),
    Row("bulk.csv.gz", "table", predict=NEITHER, convert=NEITHER, compare=NO_SECTION, shown=False),
    Row("bulk.csv", "table", predict=NEITHER, convert=NEITHER, compare=NO_SECTION, shown=False),
    Row("bulk.gct", "table", predict=NEITHER, convert=NEITHER, compare=NO_SECTION, shown=False),
    Row("bulk.h5ad", "table", predict=NEITHER, convert=NEITHER, compare=NO_SECTION, shown=False),
    Row("model", "model", predict=NEITHER, convert=NEITHER, shown=False, **SCANNED),
    Row("drawn.geojson", "regions", predict=NEITHER, convert=NEITHER, **SCANNED),
    Row("kept.histoscribe.json", "session", predict=NEITHER, convert=NEITHER, **SCANNED),
)


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory,
    model: Path,
    shell: Callable,
    write_dicom: Callable[..., Path],
    write_hest: Callable[..., Path],
) -> Path:
    """One input of every kind, made by the simulator."""
    folder = tmp_path_factory.mktemp("inputs")
    section = simulate_section(3, name="S", genes=20, size_um=700.0, mpp=1.0)
    assert section.slide is not None
    section.table.var_names = [f"G{number}" for number in range(20)]  # the model's genes
    write_slide(section.slide, folder / "slide.ome.tif")
    write_slide(section.slide, folder / "slide.ome.zarr").rename(folder / "slide-without-ending")
    pixels = np.asarray(section.slide.levels[0].pixels[:])
    (folder / "picture.png").write_bytes(imagecodecs.png_encode(pixels))
    (folder / "slide.flat").write_bytes(b"flat slide %d %d 1.0\n" % pixels.shape[:2] + pixels.tobytes())
    write_dicom(folder / "dicom", pixels, mpp=1.0)
    write_hest(folder / "hest", {"T1": {}}, genes=20)
    write_spaceranger(section, folder / "run")
    write_section(section, folder / "section.h5ad")
    shell("predict", model, folder / "section.h5ad", "--out", folder / "of-section.h5ad")
    write_section(section, folder / "sd.zarr")
    (folder / "sd.zarr").rename(folder / "spatial-data-without-ending")
    (folder / "GEO").mkdir()
    for part in (*(folder / "run" / "spatial").iterdir(), *(folder / "run").glob("*.h5")):
        packed = gzip.compress(part.read_bytes())
        (folder / "GEO" / f"GSM1_{part.name}.gz").write_bytes(packed)
    foreign = section.table.copy()
    foreign.uns.clear()
    foreign.write_h5ad(folder / "foreign.h5ad")
    by_r = foreign.copy()
    by_r.layers["counts"], by_r.X = by_r.X, None
    by_r.obs["in_tissue"] = "TRUE"
    by_r.obsm["spatial"] = pd.DataFrame(by_r.obsm["spatial"], by_r.obs_names, ["x", "y"])
    by_r.write_h5ad(folder / "from-r.h5ad")
    cells = foreign[:, :].copy()
    cells.obsm["spatial"] = np.random.default_rng(0).uniform(0, 700, (cells.n_obs, 2))
    cells.obs = cells.obs[[]].assign(cell_area=80.0)
    cells.write_h5ad(folder / "cells.h5ad")
    hd = replace(simulate_hd(1, genes=20, mpp=2.0), genes=tuple(f"G{number}" for number in range(20)))
    write_spaceranger_hd(hd, folder / "hd")
    (folder / "only-slices").mkdir()
    slices = (folder / "hd" / "feature_slice.h5").read_bytes()
    (folder / "only-slices" / "feature_slice.h5").write_bytes(slices)
    (folder / "cohort.csv").write_text("section,patient,path\nS,P,run\n")
    write_bulk(folder)
    (folder / "model").symlink_to(model)
    square = np.array([[50, 50], [50, 400], [400, 400], [400, 50]], float)
    write_regions([Region("Tumor", (200, 0, 0), square)], folder / "drawn.geojson")
    session = {"format": "histoscribe session", "version": 1, "sources": [], "layers": [], "view": VIEW}
    (folder / "kept.histoscribe.json").write_text(json.dumps(session))
    return folder


def write_bulk(folder: Path) -> None:
    """The same samples as CSV, GCT and h5ad: the model's genes but three."""
    counts = np.random.default_rng(3).poisson(60, (6, 17)) + 1
    frame = pd.DataFrame(counts, [f"s-{n}" for n in range(6)], [f"G{n}" for n in range(17)])
    frame.to_csv(folder / "bulk.csv", index_label="sample")
    frame.to_csv(folder / "bulk.csv.gz", index_label="sample")
    described = frame.T.assign(Description="na")[["Description", *frame.index]]
    rows = described.to_csv(sep="\t", index_label="Name")
    (folder / "bulk.gct").write_text(f"#1.2\n17\t6\n{rows}")
    anndata.AnnData(frame.astype(np.float32)).write_h5ad(folder / "bulk.h5ad")


@pytest.fixture(scope="module")
def imputer(shell: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imputer of the model's genes."""
    folder = tmp_path_factory.mktemp("imputer")
    counts = np.random.default_rng(4).poisson(60, (48, 20)) + 1
    frame = pd.DataFrame(counts, [f"t-{n}" for n in range(48)], [f"G{n}" for n in range(20)])
    frame.to_csv(folder / "table.csv", index_label="sample")
    words = ("--steps", 2, "--factors", 3, "--licence", "mine", "--out", folder / "model")
    assert shell("train", "imputer", folder / "table.csv", *words).exit_code == 0
    return folder / "model"


@pytest.fixture
def answered(shell: Callable, tmp_path: Path) -> Callable[..., dict]:
    """Run a verb: what it says of a thing that works, after a check of how it refuses one that does not."""

    def run(refusal: str, *words: object) -> dict:
        done = shell(*words, "--json")
        assert done.exit_code == (2 if refusal else 0), done.stderr
        if refusal:
            assert refusal in done.stderr.splitlines()[-1]
            assert not done.stdout
            return {}
        return json.loads(done.stdout)

    return run


@pytest.mark.usefixtures("foreign_package")
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=[] if row.name in QUICK else pytest.mark.slow) for row in ROWS],
)
def test_every_way_in_gives_the_same_answer(
    row: Row, inputs: Path, model: Path, imputer: Path, answered: Callable, tmp_path: Path
) -> None:
    if row.name == "dicom":
        pytest.importorskip("openslide")
    path = inputs / row.name
    facts = answered("", "info", path)
    assert facts["kind"] == row.kind
    told = answered(row.predict, "predict", model, path, "--out", tmp_path / "predicted.h5ad", *row.words)
    if not row.predict:
        assert told["spots"] > 20
        assert answered("", "info", tmp_path / "predicted.h5ad")["values"] == "predicted"
    out = tmp_path / ("written.ome.tif" if row.kind == "slide" else "written.h5ad")
    answered(row.convert, "convert", path, out, *row.words)
    if not row.convert:
        again = answered("", "info", out)
        assert again["kind"] == ("slide" if row.kind == "slide" else "section")
        for key in {"rows_columns", "spots", "genes"} & set(facts):
            assert again[key] == facts[key]
    own = inputs / "of-section.h5ad" if row.predict else tmp_path / "predicted.h5ad"
    scores = answered(row.compare, "compare", path, own, "--out", tmp_path / "report.html")
    if not row.compare:
        known = json.loads((model / "card.json").read_text(encoding="utf-8"))["genes"]
        assert scores["genes"] == len(set(known) & {f"G{number}" for number in range(20)})
        if not row.predict:
            assert scores["spots"] == told["spots"]
    words = ("--model", imputer, "--out", tmp_path / "restored.h5ad")
    restored = answered(row.impute, "impute", path, *words)
    if not row.impute:
        assert restored["genes"] == 20
        assert restored["samples"] == facts.get("samples", facts.get("spots", told.get("spots")))
    reader = get_reader(str(path))
    assert reader is not None
    if row.shown:
        assert reader is read
    else:
        with pytest.raises(HistoscribeError, match=f"this is a {row.kind}"):
            reader(str(path))
    assert _asks_us(path) is row.dropped


def _asks_us(path: Path) -> bool:
    """Whether napari asks our reader when this is dropped."""
    (reader,) = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["contributions"]["readers"]
    if path.is_dir():
        return bool(reader["accepts_directories"])
    return any(fnmatch(path.name, pattern) for pattern in reader["filename_patterns"])


@pytest.mark.usefixtures("foreign_package")
def test_a_foreign_format_is_a_slide_everywhere(inputs: Path, answered: Callable) -> None:
    facts = answered("", "info", inputs / "slide.flat")
    assert (facts["vendor"], facts["mpp"]) == ("flat", 1.0)
    assert import_module("histoscribe_foreign.flat_slide").FORMAT in histoscribe.formats.formats()


def test_it_is_refused_without_its_package(inputs: Path, shell: Callable) -> None:
    refused = shell("info", inputs / "slide.flat")
    assert refused.exit_code == 2
    assert "not a file that is known" in refused.stderr


def test_a_slide_without_a_scale_is_refused_until_it_is_stated(
    inputs: Path, model: Path, answered: Callable, tmp_path: Path
) -> None:
    words = ("predict", model, inputs / "picture.png", "--out", tmp_path / "p.h5ad")
    answered("the µm per pixel are unknown; state them with --mpp", *words)
    answered("", *words, "--mpp", 1)
    assert answered("", "info", tmp_path / "p.h5ad")["mpp"] == 1
    assert "mpp" in answered("", "info", inputs / "picture.png")
