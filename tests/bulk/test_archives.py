"""Tables as public archives and counting programs hand them out: every gene and sample, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoscribe.bulk import read_table
from histoscribe.formats import kind_of
from histoscribe.genes import shipped_gene_sets

GENES = list(dict.fromkeys(gene for genes in shipped_gene_sets().values() for gene in genes))[:60]
ENSEMBL = [f"ENSG000001{place:05d}" for place in range(60)]
SAMPLES = ["TCGA-A1-A0SB-01A", "TCGA-A1-A0SD-01A", "TCGA-A1-A0SE-01A", "TCGA-A1-A0SF-01A"]
COUNTS = np.random.default_rng(0).poisson(80, (60, 4))


def lines(names: list[str], *columns: object) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in zip(names, *columns, strict=True))


def frame(names: list[str], corner: str, values: np.ndarray = COUNTS) -> str:
    return pd.DataFrame(values, index=names, columns=SAMPLES).to_csv(sep="\t", index_label=corner)


def star() -> str:
    head = "".join(f"N_{word}\t9\t8\t7\n" for word in ("unmapped", "multimapping", "noFeature", "ambiguous"))
    return head + lines([f"{gene}.7" for gene in ENSEMBL], *COUNTS.T[:3])


def kallisto() -> str:
    head = "target_id\tlength\teff_length\test_counts\ttpm\n"
    return head + lines(ENSEMBL, [900] * 60, [850.1] * 60, COUNTS[:, 0], COUNTS[:, 1] / 3)


def salmon() -> str:
    head = "Name\tLength\tEffectiveLength\tTPM\tNumReads\n"
    return head + lines(ENSEMBL, [900] * 60, [850.1] * 60, COUNTS[:, 1] / 3, COUNTS[:, 0])


def firehose() -> str:
    named = frame([f"{gene}|{place + 1}" for place, gene in enumerate(GENES)], "Hybridization REF")
    first, rest = named.split("\n", 1)
    return first + "\ngene_id" + "\tnormalized_count" * 4 + "\n" + rest


def series() -> str:
    table = "".join(f'!Series_{word}\t"x"\n' for word in ("title", "geo_accession"))
    return table + "!series_matrix_table_begin\n" + frame(GENES, "ID_REF") + "!series_matrix_table_end\n"


def edger() -> str:
    table = pd.DataFrame(COUNTS, columns=SAMPLES)
    table.insert(0, "genes", GENES)
    table.index += 1
    return table.to_csv()


def clinical() -> str:
    table = pd.DataFrame(COUNTS.T, index=SAMPLES, columns=GENES)
    for place, (name, values) in enumerate({"stage": list("abcd"), "OS.time": [3, 4, 5, 6]}.items()):
        table.insert(place, name, values)
    return table.to_csv(sep="\t", index_label="sample")


@pytest.mark.parametrize(
    ("name", "write", "genes", "samples"),
    [
        ("one.ReadsPerGene.out.tab", star, ENSEMBL, ["one"]),
        ("one.htseq.counts", lambda: lines(ENSEMBL, COUNTS[:, 0]) + "__no_feature\t7\n", ENSEMBL, ["one"]),
        ("one.abundance.tsv", kallisto, ENSEMBL, ["one"]),
        ("one.quant.sf", salmon, ENSEMBL, ["one"]),
        ("firehose.txt", firehose, GENES, SAMPLES),
        ("GSE1_series_matrix.txt", series, GENES, SAMPLES),
        ("edger.csv", edger, GENES, SAMPLES),
        ("clinical.tsv", clinical, GENES, SAMPLES),
        ("hash.tsv", lambda: frame(GENES, "#gene_id"), GENES, SAMPLES),
        ("recount3.tsv", lambda: "##annotation=G026\n" + frame(ENSEMBL, "gene_id"), ENSEMBL, SAMPLES),
        ("depmap.tsv", lambda: frame([f"{gene} ({n})" for n, gene in enumerate(GENES)], ""), GENES, SAMPLES),
        (
            "both.tsv",
            lambda: frame([f"{one}.3|{gene}" for one, gene in zip(ENSEMBL, GENES, strict=True)], ""),
            GENES,
            SAMPLES,
        ),
    ],
)
def test_what_archives_hand_out_is_read(
    name: str, write: Callable[[], str], genes: list[str], samples: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(write())
    assert kind_of(tmp_path / name) == "table"
    table = read_table(tmp_path / name).table
    assert list(table.obs_names) == samples
    assert list(table.var_names) == genes
    assert np.array_equal(table.X, COUNTS.T[: len(samples)])


def test_semicolons_umlauts_and_decimal_commas_together(tmp_path: Path) -> None:
    table = pd.DataFrame(COUNTS / 7, index=GENES, columns=["Müller", "Größe", "été", "d"])
    text = table.to_csv(sep=";", decimal=",", float_format="%.3f", index_label="gene")
    (tmp_path / "x.csv").write_bytes(text.encode("latin-1"))
    assert kind_of(tmp_path / "x.csv") == "table"
    found = read_table(tmp_path / "x.csv")
    assert list(found.table.obs_names) == list(table.columns)
    assert np.allclose(found.table.X, COUNTS.T / 7, atol=1e-3)


def test_transcripts_and_probes_are_said_to_be_no_genes(tmp_path: Path) -> None:
    for names in ([f"ENST000001{n:05d}.1" for n in range(60)], [f"{n}_at" for n in range(60)]):
        (tmp_path / "x.tsv").write_text(frame(names, "gene_id"))
        assert any("look like no names of genes" in said for said in read_table(tmp_path / "x.tsv").warnings)


def test_a_gene_without_a_symbol_keeps_its_number(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text(frame(["?|100130426", "?|1001", *GENES[2:]], "gene"))
    assert list(read_table(tmp_path / "x.tsv").table.var_names[:3]) == ["?|100130426", "?|1001", GENES[2]]
