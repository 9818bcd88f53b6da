"""MET500 (Robinson et al., Nature 2017) as UCSC Xena hands it out: 868 libraries of metastases.

Three files, never bundled, fetched where there is network:

- `M.mx.log2.txt.gz`: versioned Ensembl ids × libraries, log2(FPKM + 0.001);
- `M.meta.plus.txt`: a line for each library (`Sample_id`, `sample_type`, `sample_source`, `cohort`,
  `biopsy_tissue`);
- the hub's probe map of GENCODE 23 (`id`, `gene`), for gene symbols.

Many patients were sequenced twice, from poly-A and from captured RNA; one library of each is kept,
poly-A where there is one.
"""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from histoscribe.bulk.reading import read_table
from histoscribe.bulk.table import as_table, dense
from histoscribe.errors import TableError, told_as
from histoscribe.generator.cohort import Cohort, cohort_of

ADDRESS = "https://ucscpublic.xenahubs.net/download/MET500/geneExpression"
_NEEDED = ("Sample_id", "sample_type", "sample_source", "cohort", "biopsy_tissue")
_CODES = {"COLO": "COAD", "HCC": "LIHC"}
_LARGEST = 512 * 1024**2
_OFFSET = 0.001


def read_met500(
    expression: str | PathLike[str], samples: str | PathLike[str], probes: str | PathLike[str] | None = None
) -> Cohort:
    """Read MET500 as metastases on the generator's scale, log2(TPM + 1).

    Parameters
    ----------
    expression, samples : path
        `M.mx.log2.txt.gz` and `M.meta.plus.txt`.
    probes : path, optional
        The probe map; without it genes keep their Ensembl ids.

    Returns
    -------
    Cohort
        `cancers` in TCGA's codes where MET500's are the same thing, `sites` from the biopsied tissue.

    Raises
    ------
    TableError
        If a file is missing, has another layout, or names no sample of the others.
    """
    about = _read(Path(samples), _NEEDED)
    stated = (about["biopsy_tissue"] != "") & (about["cohort"] != "")
    about = about[(about["sample_type"] == "tumor") & stated]
    about = about.assign(captured=~about["Sample_id"].str.contains("-poly-"))
    about = about.sort_values(["sample_source", "captured"]).drop_duplicates("sample_source")
    renamed = None
    if probes is not None:
        named = _read(Path(probes), ("id", "gene"))
        renamed = dict(zip(named["id"].str.split(".").str[0], named["gene"], strict=True))
    bulk = read_table(expression, genes_in="rows", scale="log2")
    table = bulk.table[bulk.table.obs_names.isin(about["Sample_id"])].copy()
    if not table.n_obs:
        problem = "it names none of the libraries in the expression table"
        raise TableError(problem, where=samples, remedy="check both files")
    fpkm = np.maximum(np.exp2(np.nan_to_num(dense(table.X), nan=-np.inf)) - _OFFSET, 0)
    total = fpkm.sum(1, keepdims=True)
    table.X = (fpkm / np.where(total > 0, total, 1) * 1e6).astype(np.float32)
    about = about.set_index("Sample_id").loc[table.obs_names]
    table.obs["sample_type"] = "metastasis"
    table.obs["cancer"] = [_CODES.get(code, code) for code in about["cohort"].str.upper()]
    table.obs["site"] = about["biopsy_tissue"].str.replace("_", " ").to_numpy()
    table.obs["patient"] = about["sample_source"].to_numpy()
    cohort = cohort_of(as_table(table, name="MET500", scale="linear", renamed=renamed))
    return replace(cohort, notes=(*cohort.notes, f"{len(cohort)} patients, one library of each"))


def _read(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise TableError("there is no such file", where=path, remedy=f"fetch it from {ADDRESS}")
    if path.stat().st_size > _LARGEST:
        raise TableError("this is larger than the file can be", where=path, remedy="fetch it anew")
    with told_as(TableError, "this is no table", ValueError, where=path, remedy="fetch it anew"):
        frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    missing = [name for name in needed if name not in frame]
    if missing:
        remedy = "fetch the file that Xena hands out"
        raise TableError(f"there is no column {', '.join(missing)}", where=path, remedy=remedy)
    return frame
