"""The sample that comes with Histoscribe: four simulated sections of three patients, with their truth."""

from os import PathLike
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from histoscribe.errors import SectionError, told_as
from histoscribe.section import Section

COHORT_FILE, TRUTH_FILE = "cohort.csv", "truth.npz"
_LARGEST = 500_000_000


def sample_folder() -> Path:
    """Where the sample lies: inside the installed package, or at the top of the repository.

    Raises
    ------
    SectionError
        If it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sample_data", package.parents[1] / "sample_data"):
        if (folder / COHORT_FILE).is_file():
            return folder
    remedy = "install the package again"
    raise SectionError("the sample data are missing", where=package / "sample_data", remedy=remedy)


def sample_cohort() -> list[Section]:
    """Read the sample with the ordinary readers, and add the truth to each section.

    Returns
    -------
    list of Section
        `table.layers["truth"]`, `obsm["regions"]` and `var["programme"]` as `simulate_section` gives them.
    """
    from histoscribe.section import read_cohort

    folder = sample_folder()
    sections = read_cohort(folder / COHORT_FILE)
    return [attach_truth(section, folder / section.name / TRUTH_FILE) for section in sections]


def attach_truth(section: Section, path: str | PathLike[str]) -> Section:
    """The section with `layers["truth"]`, `obsm["regions"]` and `var["programme"]` from its truth file.

    Raises `SectionError` if the file is damaged or belongs to other spots or genes.
    """
    path, wrong = Path(path), (OSError, KeyError, ValueError, IndexError, EOFError, BadZipFile)
    problem, remedy = "the truth file is damaged or belongs to another section", "simulate it again"
    with told_as(SectionError, problem, *wrong, where=path, remedy=remedy, reason=False):
        if path.stat().st_size > _LARGEST:
            raise SectionError("the truth file is too large", where=path, remedy=remedy)
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        rows = {name: row for row, name in enumerate(found["barcodes"].tolist())}
        columns = {name: column for column, name in enumerate(found["genes"].tolist())}
        take = [rows[name] for name in section.table.obs_names]
        keep = [columns[name] for name in section.table.var_names]
        table = section.table.copy()
        table.layers["truth"] = found["truth"][np.ix_(take, keep)].astype(np.float32)
        table.obsm["regions"] = found["regions"][take].astype(np.float32)
        table.uns["regions"] = found["region_names"].tolist()
        table.var["programme"] = found["programme"][keep]
    return section.with_table(table)
