from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoscribe.errors import TableError
from histoscribe.generator import read_met500


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
