"""Tables as programs and spreadsheets write them: what is a gene, what a sample, and what is neither."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.bulk import read_table
from histoscribe.errors import TableError
from histoscribe.genes import shipped_gene_sets

SAMPLES = ["tumour_a", "tumour_b", "normal_a", "normal_b"]
KNOWN = list(dict.fromkeys(gene for genes in shipped_gene_sets().values() for gene in genes))


def counts(genes: list[str], samples: list[str], seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).poisson(50, (len(genes), len(samples)))
    return pd.DataFrame(values, index=genes, columns=samples)


def many(count: int) -> list[str]:
    return [*KNOWN[:400], *(f"{gene[:6]}P{at}" for at, gene in enumerate((KNOWN * 9)[400:count]))]


@pytest.mark.parametrize("samples", [["WT1", "WT2", "WT3", "KO1", "KO2"], ["A549", "MCF7", "T47D", "HT29"]])
@pytest.mark.parametrize("corner", ["", "gene"])
def test_samples_with_names_like_genes_are_told_by_shape(
    samples: list[str], corner: str, tmp_path: Path
) -> None:
    frame = counts(many(3000), samples)
    frame.to_csv(tmp_path / "rows.csv", index_label=corner)
    frame.T.to_csv(tmp_path / "columns.csv")
    for name in ("rows.csv", "columns.csv"):
        table = read_table(tmp_path / name).table
        assert list(table.obs_names) == samples
        assert table.shape == (len(samples), 3000)


def test_where_neither_shape_nor_names_tell_it_stops_and_a_word_settles_it(tmp_path: Path) -> None:
    frame = counts(["TP53", "KRT5", "ESR1", "HLA-A"], ["WT1", "BAX", "MYC", "EGFR"])
    frame.to_csv(tmp_path / "x.csv")
    with pytest.raises(TableError, match=r"both look like genes.*write gene into its first cell"):
        read_table(tmp_path / "x.csv")
    frame.to_csv(tmp_path / "x.csv", index_label="gene")
    assert list(read_table(tmp_path / "x.csv").table.var_names) == list(frame.index)
    assert list(read_table(tmp_path / "x.csv", genes_in="columns").table.var_names) == list(frame.columns)


@pytest.mark.parametrize("pattern", ["TCGA-{0}{1}-A{2}V", "A{0}{1}{2}B", "{0}X{1}"])
def test_codes_of_samples_that_look_like_genes_yield_to_known_genes(pattern: str, tmp_path: Path) -> None:
    letters = "ABCDEFGHIJ"
    names = [pattern.format(letters[n // 10 % 10], letters[n % 10], n) for n in range(150)]
    frame = counts(KNOWN[:300], names)
    for turned in (frame, frame.T):
        turned.to_csv(tmp_path / "x.csv")
        assert list(read_table(tmp_path / "x.csv").table.var_names) == KNOWN[:300]


def test_a_counted_index_is_no_list_of_entrez_numbers(tmp_path: Path) -> None:
    frame = counts(KNOWN[:20], [str(number) for number in range(600)]).T
    frame.to_csv(tmp_path / "x.csv")
    assert list(read_table(tmp_path / "x.csv").table.var_names) == KNOWN[:20]


def gct(
    frame: pd.DataFrame, row_notes: dict[str, list[object]], column_notes: dict[str, list[object]]
) -> str:
    lines = ["#1.3", "\t".join(map(str, [*frame.shape, len(row_notes), len(column_notes)]))]
    lines.append("\t".join(["id", *row_notes, *frame.columns]))
    for name, values in column_notes.items():
        lines.append("\t".join(map(str, [name, *["na"] * len(row_notes), *values])))
    for at, gene in enumerate(frame.index):
        notes = [values[at] for values in row_notes.values()]
        lines.append("\t".join(map(str, [gene, *notes, *frame.loc[gene]])))
    return "\n".join(lines) + "\n"


def test_descriptors_of_gct_1_3_are_neither_samples_nor_genes(tmp_path: Path) -> None:
    ids = [f"ENSG000001{at:05d}.3" for at in range(30)]
    frame = counts(ids, SAMPLES)
    text = gct(
        frame, {"pr_gene_symbol": KNOWN[:30], "gc_content": list(range(30))},
        {"dose": [1, 2, 3, 4], "tissue": ["skin"] * 4},
    )  # fmt: skip
    (tmp_path / "x.gct").write_text(text)
    bulk = read_table(tmp_path / "x.gct")
    assert list(bulk.table.obs_names) == SAMPLES
    assert list(bulk.table.var_names) == KNOWN[:30]
    assert np.array_equal(bulk.table.X, frame.T.to_numpy())
    (tmp_path / "x.gct").write_text(text.replace("#1.3\n30\t4\t2\t2", "#1.3\n30\t4"))
    with pytest.raises(TableError, match="four numbers"):
        read_table(tmp_path / "x.gct")


def test_feature_counts_places_and_lengths_are_no_samples(tmp_path: Path) -> None:
    frame = counts(KNOWN[:50], [f"/data/bam/{name}.bam" for name in SAMPLES])
    for at, (name, value) in enumerate(
        {"Chr": "1;1", "Start": 5, "End": 9, "Strand": "+", "Length": 5}.items()
    ):
        frame.insert(at, name, value)
    path = tmp_path / "counts.txt"
    path.write_text("# Program:featureCounts v2\n" + frame.to_csv(sep="\t", index_label="Geneid"))
    bulk = read_table(path)
    assert list(bulk.table.obs_names) == SAMPLES
    assert any("Length" in said for said in bulk.warnings)


@pytest.mark.parametrize(
    "specials",
    [
        ["__no_feature", "__ambiguous"],
        ["N_unmapped", "N_multimapping", "N_noFeature"],
        ["Total"],
        ["Library size", "sum"],
    ],
)
def test_reads_without_a_gene_are_left_out_and_said(specials: list[str], tmp_path: Path) -> None:
    counts([*KNOWN[:50], *specials], SAMPLES).to_csv(tmp_path / "x.tsv", sep="\t")
    bulk = read_table(tmp_path / "x.tsv")
    assert list(bulk.table.var_names) == KNOWN[:50]
    assert any(specials[0] in said for said in bulk.warnings)


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_the_sum_or_mean_of_all_samples_is_no_sample(kind: str, tmp_path: Path) -> None:
    frame = counts(KNOWN[:50], SAMPLES)
    frame["all"] = getattr(frame, kind)(axis=1)
    frame.to_csv(tmp_path / "x.tsv", sep="\t")
    bulk = read_table(tmp_path / "x.tsv")
    assert list(bulk.table.obs_names) == SAMPLES
    assert any("other samples were left out: all" in said for said in bulk.warnings)


@pytest.mark.parametrize("name", ["Gene length (bp)", "exon.length", "Mean", "SD"])
def test_what_tells_of_genes_is_no_sample_however_it_is_spelled(name: str, tmp_path: Path) -> None:
    counts(KNOWN[:50], SAMPLES).assign(**{name: 7}).to_csv(tmp_path / "x.csv")
    bulk = read_table(tmp_path / "x.csv")
    assert list(bulk.table.obs_names) == SAMPLES
    assert any(name in said for said in bulk.warnings)


def test_what_tells_of_samples_is_no_gene_in_rows_either(tmp_path: Path) -> None:
    counts([*KNOWN[:50], "age", "OS.time"], SAMPLES).to_csv(tmp_path / "x.csv")
    bulk = read_table(tmp_path / "x.csv")
    assert list(bulk.table.var_names) == KNOWN[:50]
    assert any("left out: age, OS.time" in said for said in bulk.warnings)


@pytest.mark.parametrize("column", ["index", "Gene.Symbol"])
def test_numbers_of_rows_yield_to_the_symbols_beside_them(column: str, tmp_path: Path) -> None:
    frame = counts(KNOWN[:50], SAMPLES).rename_axis(column).reset_index()
    (tmp_path / "x.csv").write_text("\n,,,,,\n" + frame.to_csv())
    assert list(read_table(tmp_path / "x.csv").table.var_names) == KNOWN[:50]
    frame.set_axis([f"{at}_at" for at in range(50)]).rename(columns={column: "symbol"}).to_csv(
        tmp_path / "x.csv"
    )
    assert list(read_table(tmp_path / "x.csv").table.var_names) == KNOWN[:50]


@pytest.mark.parametrize("pattern", ["ENST{:011d}", "NM_{:06d}", "HGNC:{}"])
def test_accessions_are_no_numbered_samples(pattern: str, tmp_path: Path) -> None:
    counts([pattern.format(at) for at in range(60)], SAMPLES).to_csv(tmp_path / "x.csv")
    bulk = read_table(tmp_path / "x.csv")
    assert list(bulk.table.obs_names) == SAMPLES
    assert any("match probes or transcripts to genes first" in said for said in bulk.warnings)


@pytest.mark.parametrize("first", ["gene", "sample"])
def test_a_line_for_each_gene_of_each_sample_is_refused(first: str, tmp_path: Path) -> None:
    frame = counts(KNOWN[:9], SAMPLES).rename_axis("gene").reset_index()
    long = frame.melt("gene", var_name="sample", value_name="count")
    long.set_index(first).to_csv(tmp_path / "x.csv")
    with pytest.raises(TableError, match="is each of them one gene of one sample; pivot it"):
        read_table(tmp_path / "x.csv")


def test_the_result_of_a_comparison_is_no_expression(tmp_path: Path) -> None:
    counts(KNOWN[:50], ["logFC", "AveExpr", "t", "P.Value", "adj.P.Val"]).to_csv(tmp_path / "x.csv")
    with pytest.raises(TableError, match=r"the result of a comparison \(logFC, AveExpr, P.Value\)"):
        read_table(tmp_path / "x.csv")


def test_samples_that_are_alike_stay(tmp_path: Path) -> None:
    frame = counts(KNOWN[:50], SAMPLES)
    for name in SAMPLES:
        frame[name] = frame[SAMPLES[0]]
    frame.to_csv(tmp_path / "x.tsv", sep="\t")
    assert list(read_table(tmp_path / "x.tsv").table.obs_names) == SAMPLES


def test_quantities_of_one_sample_are_no_samples(tmp_path: Path) -> None:
    names = ["unstranded", "stranded_first", "stranded_second", "tpm_unstranded", "fpkm_unstranded"]
    frame = counts([f"ENSG000001{at:05d}.3" for at in range(40)], names)
    frame.insert(0, "gene_name", KNOWN[:40])
    text = "# gene-model: GENCODE v36\n" + frame.to_csv(sep="\t", index_label="gene_id")
    (tmp_path / "case-7.rna_seq.tsv").write_text(text)
    bulk = read_table(tmp_path / "case-7.rna_seq.tsv")
    assert list(bulk.table.obs_names) == ["case-7"]
    assert list(bulk.table.var_names) == KNOWN[:40]
    assert np.array_equal(bulk.table.X[0], frame["unstranded"])
    assert any("unstranded was taken" in said for said in bulk.warnings)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "utf-8-sig"])
def test_every_common_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    frame = counts(KNOWN[:30], ["größe", "été", "c", "d"])
    (tmp_path / "x.tsv").write_bytes(frame.to_csv(sep="\t").encode(encoding))
    bulk = read_table(tmp_path / "x.tsv")
    assert list(bulk.table.obs_names) == list(frame.columns)
    assert np.array_equal(bulk.table.X, frame.T.to_numpy())
    assert any("Latin-1" in said for said in bulk.warnings) == (encoding == "latin-1")


@pytest.mark.parametrize(
    ("separator", "decimal"), [("\t", ","), (";", ","), (";", "."), (",", ","), ("\t", ".")]
)
@pytest.mark.parametrize("form", ["%.4f", "%.2e"])
def test_decimal_points_and_commas_in_any_spelling(
    separator: str, decimal: str, form: str, tmp_path: Path
) -> None:
    frame = counts(KNOWN[:30], SAMPLES) / 7
    frame.to_csv(tmp_path / "x.csv", sep=separator, decimal=decimal, float_format=form)
    read = read_table(tmp_path / "x.csv").table
    assert np.allclose(read.X, frame.T.to_numpy(), rtol=1e-2)


def test_a_comma_that_may_mean_two_things_stops(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("\ta\tb\nTP53\t1,234\t2,345\nKRT5\t12,345\t7\n")
    with pytest.raises(TableError, match="may mark thousands or decimals"):
        read_table(tmp_path / "x.tsv")
    (tmp_path / "x.tsv").write_text("\ta\tb\nTP53\t0,234\t2,345\nKRT5\t12,345\t7\n")
    assert read_table(tmp_path / "x.tsv").table.X.max() == pytest.approx(12.345)


def test_a_gct_has_a_description_and_the_rows_that_it_states(tmp_path: Path) -> None:
    frame = counts(KNOWN[:30], SAMPLES)
    empty = frame.assign(Description="na")[["Description", *SAMPLES]]
    path = tmp_path / "x.gct"

    def write(stated: int) -> None:
        path.write_text(f"#1.2\n{stated}\t4\n{empty.to_csv(sep=chr(9), index_label='Name')}")

    write(30)
    assert list(read_table(path).table.obs_names) == SAMPLES
    assert np.array_equal(read_table(path).table.X, frame.T.to_numpy())
    write(4)
    assert any("states 4 rows, it holds 30" in said for said in read_table(path).warnings)
    write(31)
    with pytest.raises(TableError, match="states 31 rows and holds 30; copy it anew"):
        read_table(path)


def test_what_a_spreadsheet_leaves_behind_is_neither_gene_nor_sample(tmp_path: Path) -> None:
    frame = counts(KNOWN[:50], SAMPLES)
    lines = frame.to_csv().replace(f"{frame.iloc[0, 0]},", "n/a,", 1).splitlines()
    (tmp_path / "x.csv").write_text("\n".join(f"{line},," for line in lines))
    table = read_table(tmp_path / "x.csv").table
    assert list(table.obs_names) == SAMPLES
    assert np.isnan(table.X).sum() == 1


@pytest.mark.parametrize("place", ["raw", "counts", "counts alone"])
def test_counts_and_symbols_are_found_in_an_h5ad(place: str, tmp_path: Path) -> None:
    frame = counts(KNOWN[:50], SAMPLES)
    table = anndata.AnnData(frame.T.to_numpy(np.float32), obs=pd.DataFrame(index=SAMPLES))
    table.var_names = [f"ENSG{number:011d}" for number in range(50)]
    table.var["feature_name"] = pd.Categorical(KNOWN[:50])
    if place == "raw":
        table.raw = table.copy()
        table = table[:, :20].copy()
    else:
        table.layers["counts"] = table.X.copy()
    table.X = None if place == "counts alone" else np.log1p(table.X)
    table.write_h5ad(tmp_path / "x.h5ad")
    bulk = read_table(tmp_path / "x.h5ad")
    assert bulk.scale == "counts"
    np.testing.assert_array_equal(bulk.table[:, KNOWN[:50]].X, frame.T.to_numpy())
    assert any("X holds no raw counts" in said for said in bulk.warnings)
    if place == "counts":
        assert read_table(tmp_path / "x.h5ad", scale="log2").scale == "log2"
