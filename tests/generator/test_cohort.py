from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.errors import TableError
from histoscribe.generator import Cohort, Generator, cohort_of, read_met500, read_metastasis_cohort
from histoscribe.generator.cohort import join_platforms
from histoscribe.generator.parents import estimate_purity, mix
from histoscribe.genes import read_gene_sets
from histoscribe.genes.sets import present, shipped_gene_sets


def test_a_table_with_its_samples_file_becomes_a_cohort(
    tmp_path: Path, table: anndata.AnnData, cohort: Cohort
) -> None:
    table.to_df().to_csv(tmp_path / "c.expr.csv")
    table.obs.to_csv(tmp_path / "c.meta.csv")
    read = read_metastasis_cohort(tmp_path / "c.expr.csv")
    assert set(read.kinds) == {"primary", "normal", "metastasis"}
    assert np.allclose(read.values, cohort.values, atol=1e-4)
    assert (read.sites[read.kinds == "primary"] == "").all()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("sample_type", "organoid", "is no sample_type"),
        ("cancer", "", "have no cancer"),
        ("site", "", "have no site"),
    ],
)
def test_samples_that_do_not_say_what_they_are(
    table: anndata.AnnData, column: str, value: str, said: str
) -> None:
    table.obs[column] = value
    with pytest.raises(TableError, match=said):
        cohort_of(table)


def test_a_missing_column_is_named(table: anndata.AnnData) -> None:
    del table.obs["patient"]
    with pytest.raises(TableError, match="no column patient"):
        cohort_of(table)


def test_centred_values_cannot_be_mixed(table: anndata.AnnData) -> None:
    table.X = (table.X - table.X.mean(0)).astype(np.float32)
    with pytest.raises(TableError, match="abundances cannot be had"):
        cohort_of(table)


def test_missing_and_negative_values_become_not_detected(table: anndata.AnnData) -> None:
    table.X[0, 0], table.X[1, 1] = np.nan, -3
    cohort = cohort_of(table)
    assert cohort.values[0, 0] == 0
    assert cohort.values[1, 1] == 0
    assert any("not detected" in note for note in cohort.notes)


def test_classes_of_one_sample_are_refused(cohort: Cohort) -> None:
    rows = np.r_[cohort.of("metastasis"), cohort.of("normal"), cohort.of("primary", cancer="BRCA")]
    lone = cohort.take(np.r_[rows, cohort.of("primary", cancer="LUSC")[:1]])
    with pytest.raises(TableError, match=r"one sample only.*LUSC \(primary\)"):
        Generator().fit(lone)


def test_a_cohort_without_metastases_is_refused(cohort: Cohort) -> None:
    with pytest.raises(TableError, match="0 metastases have primaries"):
        Generator().fit(cohort.take(cohort.kinds != "metastasis"))


def test_metastases_without_counterpart_are_left_out(cohort: Cohort) -> None:
    from histoscribe.generator.training.fitting import usable

    kept = usable(cohort.take(~((cohort.kinds == "normal") & (cohort.sites == "lung"))))
    assert set(kept.sites[kept.kinds == "metastasis"]) == {"liver"}


@given(st.floats(0.05, 1), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_mixing_stays_between_its_parents(purity: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    tumour, normal = random.uniform(0, 15, (2, 1, 40)).astype(np.float32)
    mixed = mix(tumour, normal, np.array([purity], dtype=np.float32))
    assert (mixed >= np.minimum(tumour, normal) - 1e-4).all()
    assert (mixed <= np.maximum(tumour, normal) + 1e-4).all()


def test_the_share_of_tumour_is_read_back() -> None:
    random = np.random.default_rng(0)
    tumour, normal = random.uniform(2, 14, (2, 400)).astype(np.float32)
    truth = np.linspace(0.2, 0.9, 30, dtype=np.float32)
    mixed = mix(np.repeat(tumour[None], 30, 0), np.repeat(normal[None], 30, 0), truth)
    noisy = mixed + random.normal(0, 0.3, mixed.shape).astype(np.float32)
    assert np.abs(estimate_purity(noisy, tumour, normal) - truth).mean() < 0.06


def test_gene_sets_that_come_with_it_are_sound() -> None:
    sets = shipped_gene_sets()
    assert len(sets) > 30
    assert {"CELL_CYCLE", "EMT", "SITE_LIVER", "SITE_BRAIN", "SITE_BONE_MARROW"} <= set(sets)
    assert all(len(genes) == len(set(genes)) >= 20 for genes in sets.values())
    assert present(sets, sets["EMT"]).keys() >= {"EMT"}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"NAME\tonly a description\n", b"\xff\xfe\x00"])
def test_what_is_no_gmt_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gmt").write_bytes(content)
    with pytest.raises(TableError, match=r"x\.gmt"):
        read_gene_sets(tmp_path / "x.gmt")


def write_met500(folder: Path) -> None:
    """Six libraries of four patients in the layout that UCSC Xena hands out."""
    random = np.random.default_rng(0)
    names = [
        "MO_1-poly-SI_1",
        "MO_1-capt-SI_2",
        "MO_2-capt-SI_3",
        "MO_3-poly-SI_4",
        "MO_4-poly-5",
        "N-poly-6",
    ]
    genes = [f"ENSG{number:011d}.{number % 3 + 1}" for number in range(1, 61)]
    fpkm = random.gamma(1, 20, (60, 6))
    frame = pd.DataFrame(np.log2(fpkm + 0.001), index=pd.Index(genes, name="sample"), columns=names)
    frame.to_csv(folder / "M.mx.log2.txt.gz", sep="\t")
    pd.DataFrame(
        {
            "Sample_id": names, "sample_type": [*["tumor"] * 5, "normal"],
            "sample_source": ["MO_1", "MO_1", "MO_2", "MO_3", "MO_4", "MO_5"],
            "cohort": ["BRCA", "BRCA", "COLO", "PRAD", "", "BRCA"],
            "biopsy_tissue": ["liver", "liver", "lymph_node", "bone_marrow", "liver", "liver"],
        }
    ).to_csv(folder / "M.meta.plus.txt", sep="\t", index=False)  # fmt: skip
    pd.DataFrame({"id": genes, "gene": [f"GENE{n}" for n in range(60)], "chrom": "chr1"}).to_csv(
        folder / "gencode.v23.annotation.gene.probemap", sep="\t", index=False
    )


def test_met500_is_read_in_its_own_layout(tmp_path: Path) -> None:
    write_met500(tmp_path)
    probes = tmp_path / "gencode.v23.annotation.gene.probemap"
    cohort = read_met500(tmp_path / "M.mx.log2.txt.gz", tmp_path / "M.meta.plus.txt", probes)
    assert cohort.names.tolist() == ["MO_1-poly-SI_1", "MO_2-capt-SI_3", "MO_3-poly-SI_4"]
    assert cohort.cancers.tolist() == ["BRCA", "COAD", "PRAD"]
    assert cohort.sites.tolist() == ["liver", "lymph node", "bone marrow"]
    assert cohort.genes[:2] == ("GENE0", "GENE1")
    assert np.allclose((np.exp2(cohort.values) - 1).sum(1), 1e6, rtol=1e-3)


def test_met500_with_another_layout_is_refused(tmp_path: Path) -> None:
    write_met500(tmp_path)
    (tmp_path / "M.meta.plus.txt").write_text("a\tb\n1\t2\n")
    with pytest.raises(TableError, match="no column Sample_id"):
        read_met500(tmp_path / "M.mx.log2.txt.gz", tmp_path / "M.meta.plus.txt")


def test_two_platforms_meet_on_common_genes(cohort: Cohort) -> None:
    from dataclasses import replace

    other = replace(cohort, values=cohort.values * 0.5 + 1, genes=(*cohort.genes[:-5], *"ABCDE"))
    joined = join_platforms(cohort, other)
    assert len(joined.genes) == len(cohort.genes) - 5
    assert np.allclose(np.sort(joined.values[len(cohort) :], 1), np.sort(joined.values[-1])[None], atol=1e-5)
    assert any("two platforms" in note for note in joined.notes)
