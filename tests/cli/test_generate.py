"""The generator's verbs: train, generate, benchmark; and every kind of bad input, named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

CANCERS = {
    "BRCA": "breast",
    "COAD": "colon",
    "KIRC": "kidney",
    "LIHC": "liver",
    "LUAD": "lung",
    "THCA": "thyroid",
}
GENES = ["MKI67", "TOP2A", "CCNB1", "CDK1", "BUB1", "ALB", "APOB", "TTR", "F2", "CRP"]
GENES += [f"G{number}" for number in range(50)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tcga11's layout in small, and a cohort with metastases made of it."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("generate")
    rows, about = {}, []
    for cancer in CANCERS:
        tumour, organ = random.normal(7, 2, (2, len(GENES)))
        for number in range(10):
            for kind, centre in (("primary_tumor", tumour), ("solid_tissue_normal", organ)):
                name = f"{cancer}-{number}-{kind[0]}"
                rows[name] = np.maximum(centre + random.normal(0, 0.4, len(GENES)), 0)
                about.append((name, f"{cancer}-{number}", cancer, kind))
    frame = pd.DataFrame(rows, index=GENES).T
    (folder / "bulk").mkdir()
    with gzip.open(folder / "bulk/tcga11_tumor_normal.expr.csv.gz", "wt") as stream:
        frame.to_csv(stream)
    meta = pd.DataFrame(about, columns=["sample", "patient", "cancer", "sample_type"]).set_index("sample")
    meta.to_csv(folder / "bulk/tcga11_tumor_normal.meta.csv")
    meta["site"] = meta["cancer"].map(CANCERS)
    met = (
        frame[meta["sample_type"] == "primary_tumor"]
        .add_suffix("", axis=1)
        .rename(lambda name: f"{name}-met")
    )
    told = meta[meta["sample_type"] == "primary_tumor"].rename(lambda name: f"{name}-met")
    told = told.assign(sample_type="metastasis", site="liver")[lambda one: one["cancer"] != "LIHC"]
    liver = frame[[name.startswith("LIHC") and name.endswith("s") for name in frame.index]].to_numpy()
    met = met.loc[told.index]
    met += 1.0 * (np.arange(len(GENES)) < 5) + 0.2 * (liver.mean(0) - met)
    pd.concat([frame, met]).to_csv(folder / "cohort.csv")
    pd.concat([meta, told]).to_csv(folder / "samples.csv")
    frame[(meta["cancer"] == "COAD") & (meta["sample_type"] == "primary_tumor")].to_csv(
        folder / "primary.csv"
    )
    frame[(meta["cancer"] == "LIHC") & (meta["sample_type"] != "primary_tumor")].to_csv(folder / "liver.csv")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path, shell: Callable) -> Path:
    words = (
        "--samples",
        folder / "samples.csv",
        "--out",
        folder / "model",
        "--licence",
        "mine",
        "--scale",
        "log2",
    )
    result = shell(
        "train", "generator", folder / "cohort.csv", *words, "--met-steps", 60, "--mixing-steps", 60, "--json"
    )
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["sites"] == ["liver"]
    assert facts["cancers"] == [cancer for cancer in CANCERS if cancer != "LIHC"]
    assert facts["settings"]["met_steps"] == 60
    return folder / "model"


def test_profiles_are_generated_from_a_table(
    model: Path, folder: Path, shell: Callable, tmp_path: Path
) -> None:
    out = tmp_path / "made.h5ad"
    words = ("--model", model, "--primary", folder / "primary.csv", "--normal", folder / "liver.csv")
    result = shell(
        "generate", *words, "--site", "liver", "--samples", 20, "--purity", "0.5-0.9", "--out", out, "--json"
    )
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["synthetic"] is True
    assert facts["cancer"] == "COAD"
    assert facts["samples"] == 20
    assert {"gene", "primary", "generated", "change"} <= set(facts["genes_changed"][0])
    assert "gene_set" in facts["gene_sets_changed"][0]
    table = anndata.read_h5ad(out)
    assert table.obs["purity"].between(0.5, 0.9).all()
    assert table.uns["histoscribe"]["command"].startswith("histoscribe generate")


def test_people_get_tables_and_a_warning(model: Path, folder: Path, shell: Callable, tmp_path: Path) -> None:
    words = ("--primary", folder / "primary.csv", "--site", "liver", "--out", tmp_path / "x.csv")
    words = (*words, "--components", tmp_path / "components.csv")
    result = shell("generate", "--model", model, *words, "--samples", 5, "--cancer", "COAD")
    assert result.exit_code == 0, result.stderr
    assert "not a diagnosis" in result.stdout + result.stderr
    assert (tmp_path / "x.csv").read_text().startswith("sample,synthetic")
    assert {"gene_set", "adjusted", "from_site"} <= set(pd.read_csv(tmp_path / "components.csv"))
    assert (tmp_path / "components.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--site", "moon"), "the model knows no site called moon; choose from liver"),
        (("--site", "liver", "--cancer", "GBM"), "no cancer called GBM"),
        (("--site", "liver", "--purity", "much"), "'much' is no purity"),
        (("--site", "liver", "--purity", "1.2"), "is not possible"),
        (("--site", "liver", "--samples", "0"), "0 samples"),
        (("--site", "liver", "--region", "absent.geojson"), "a bulk table has no regions"),
    ],
)
def test_what_cannot_be_generated(
    model: Path, folder: Path, shell: Callable, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    given = ("--model", model, "--primary", folder / "primary.csv", "--out", tmp_path / "x.h5ad")
    result = shell("generate", *given, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "x.h5ad").exists()


def test_a_section_gives_its_region_and_an_empty_one_is_said(
    model: Path, shell: Callable, tmp_path: Path
) -> None:
    rows, columns = np.mgrid[0:500:100, 0:500:100].reshape(2, -1)
    table = anndata.AnnData(
        np.random.default_rng(0).poisson(9, (25, len(GENES))).astype(np.float32),
        var=pd.DataFrame(index=GENES),
        obsm={"spatial": np.column_stack([columns, rows]).astype(float)},
        uns={"histoscribe": {"name": "A1", "mpp": 0.5, "spot_um": 30.0, "pitch_um": 50.0}},
    )  # fmt: skip
    table.write_h5ad(tmp_path / "a1.h5ad")
    for name, corner in (("full", -10), ("empty", 5000)):
        square = [
            [corner, corner],
            [corner + 300, corner],
            [corner + 300, corner + 300],
            [corner, corner + 300],
        ]
        geometry = {"type": "Polygon", "coordinates": [[*square, square[0]]]}
        feature = {"type": "Feature", "geometry": geometry, "properties": {}}
        (tmp_path / f"{name}.geojson").write_text(json.dumps(feature))
    given = (
        "--model",
        model,
        "--primary",
        tmp_path / "a1.h5ad",
        "--site",
        "liver",
        "--out",
        tmp_path / "x.h5ad",
    )
    result = shell("generate", *given, "--region", tmp_path / "full.geojson", "--samples", 3, "--json")
    assert result.exit_code == 0, result.stderr
    assert any("rank by rank" in note for note in json.loads(result.stdout)["notes"])
    result = shell("generate", *given, "--region", tmp_path / "empty.geojson")
    assert result.exit_code == 2
    assert "no spot lies in this region" in result.stderr


def test_a_cohort_that_does_not_say_what_it_is(folder: Path, shell: Callable, tmp_path: Path) -> None:
    result = shell("train", "generator", folder / "cohort.csv", "--out", tmp_path / "m")
    assert result.exit_code == 2
    assert "no column sample_type, cancer, site, patient" in result.stderr


@pytest.mark.slow
def test_the_benchmark_scores_and_goes_on_where_it_was(
    folder: Path, shell: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from histoscribe.benchmark.generator import bed
    from histoscribe.benchmark.generator.semisynthetic import learn_classes
    from histoscribe.generator import Generator

    fits = []

    def quick(train: object, seed: int, progress: object) -> Generator:
        fits.append(seed)
        return Generator(met_steps=20, mixing_steps=20, seed=seed).fit(train)

    monkeypatch.setattr(bed, "fit_generator", quick)
    monkeypatch.setitem(learn_classes.__kwdefaults__, "steps", 40)
    words = ("--beds", "semi-synthetic", "--methods", "histoscribe,identity", "--per-pair", 4)
    words = ("benchmark", "generator", folder, *words, "--keep", tmp_path / "kept.json", "--json")
    first = shell(*words, "--seeds", 1)
    assert first.exit_code == 0, first.stderr
    both = shell(*words, "--seeds", 2)
    assert both.exit_code == 0, both.stderr
    assert fits == [0, 1]
    found = json.loads(both.stdout)
    assert found["settings"]["seeds"] == [0, 1]
    assert {"histoscribe", "identity", "real"} == {record["method"] for record in found["records"]}
    assert {"seed 0", "seed 1", "all"} == {record["fold"] for record in found["records"]}
    other = shell(*words, "--seeds", 1, "--methods", "identity", "--out", tmp_path / "r.html")
    assert other.exit_code == 0, other.stderr
    assert fits == [0, 1]
    assert "joint of each method" in (tmp_path / "r.html").read_text()
    (tmp_path / "kept.json").write_text('{"asked": {}, "scored": {}}')
    old = shell(*words, "--seeds", 1)
    assert old.exit_code == 2
    assert "earlier version" in old.stderr
    unknown = shell("benchmark", "generator", folder, "--beds", "martian")
    assert unknown.exit_code == 2
    assert "no bed is called 'martian'" in unknown.stderr
