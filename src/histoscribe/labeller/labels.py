"""Labels of slides: read from a table, recognised as classes or numbers, checked before learning."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.arrays import Wide
from histoscribe.errors import TableError, require_known, told_as

_WHERE = "labels"
OWNERS = ("slide", "section", "patient")
_LARGEST, _MOST_LABELS, _MOST_CLASSES, _GRADES, _FEWEST = 256 * 1024**2, 1000, 20, 5, 10
_MISSING = ("", "na", "nan", "n/a", "none", "null", "unknown", "not available")


@dataclass(frozen=True, eq=False)
class Label:
    """One label of many slides."""

    name: str
    classes: tuple[str, ...]
    """In the order of their numbers; empty where the label is a number itself."""
    values: Wide
    """Number of the class, or standard deviations from the mean; NaN where not known, shape (slides,)."""
    mean: float = 0.0
    sd: float = 1.0
    """`mean` and `sd`: of a number, in its own unit."""

    @property
    def kind(self) -> str:
        """`number`, `two classes` or `5 classes`, for sentences."""
        count = {2: "two"}.get(len(self.classes), len(self.classes))
        return f"{count} classes" if self.classes else "number"

    @property
    def member(self) -> Wide:
        """Which slide is of which class (slides, classes), or which has a number (slides, 1)."""
        if not self.classes:
            return np.isfinite(self.values)[:, None].astype(np.float64)
        member = self.values[:, None] == np.arange(len(self.classes))
        return np.asarray(member, dtype=np.float64)


def columns_of(labels: Sequence[Label]) -> list[slice]:
    """Which outputs of a network answer which label: one for numbers and for two classes, else one a
    class."""
    widths = [len(label.classes) if len(label.classes) > 2 else 1 for label in labels]
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def read_labels(
    path: str | PathLike[str], slides: Sequence[str], patients: Sequence[str], only: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read the labels of slides from a CSV or TSV file.

    Parameters
    ----------
    path : path
        A line each slide or patient, named in a column `slide`, `section` or `patient`, else in the first
        one. Every other column is a label; empty cells are not known.
    slides, patients : sequence of str
        Of the cohort, one each slide.
    only : sequence of str
        Labels to take; all if empty.

    Returns
    -------
    DataFrame
        Text, indexed by `slides`, a column each label.
    list of str
        What was passed over.

    Raises
    ------
    TableError
        If it cannot be read, names none of the slides, or names one twice with different labels.
    SettingError
        If a label that was asked for is not there.
    """
    path = Path(path)
    remedy = "give a CSV file: the slide or patient in its first column, a column each label"
    with told_as(TableError, "the labels cannot be read", OSError, ValueError, where=path, remedy=remedy):
        if path.stat().st_size > _LARGEST:
            raise TableError("this is larger than a file of labels can be", where=path, remedy=remedy)
        table = pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False)
    table.columns = table.columns.str.strip()
    table = table.apply(lambda column: column.str.strip())
    owner = next((name for name in OWNERS if name in table), str(table.columns[0]))
    names, known = table[owner], {name: set(own) for name, own in (("slide", slides), ("patient", patients))}
    matches = {name: names.isin(own).sum() for name, own in known.items()}
    asked = patients if owner == "patient" or matches["patient"] > matches["slide"] else slides
    labels = table.drop(columns=[name for name in {owner, *OWNERS} if name in table])
    require_known("label", only, list(labels), where=path)
    labels = labels[list(only)] if only else labels
    if not labels.shape[1]:
        raise TableError("it has no column beside the names", where=path, remedy=remedy)
    labels = labels.set_axis(names).loc[lambda rows: ~rows.reset_index().duplicated().to_numpy()]
    if twice := sorted(set(labels.index[labels.index.duplicated()])):
        problem = f"{', '.join(twice[:3])} stands there twice, with different labels"
        raise TableError(problem, where=path, remedy="give each slide or patient one line")
    there = set(asked)
    foreign = [name for name in labels.index if name not in there]
    if len(foreign) == len(labels):
        problem = f"it names none of the cohort's slides or patients, but {', '.join(foreign[:3])}"
        raise TableError(problem, where=path, remedy=f"use names such as {slides[0]} or {patients[0]}")
    doubts = []
    if foreign:
        doubts.append(f"{len(foreign)} lines of labels are of no slide here ({', '.join(foreign[:3])})")
    if bare := [name for name, own in zip(slides, asked, strict=True) if own not in labels.index]:
        doubts.append(f"{len(bare)} slides have no labels and were left out ({', '.join(bare[:3])})")
    return labels.reindex(asked).set_axis(list(slides)), doubts


def recognise(table: pd.DataFrame, patients: Sequence[str]) -> list[Label]:
    """Tell classes from numbers, and refuse what nothing can be learned from.

    Words, truth values and up to five whole numbers are classes, all other numbers are numbers. `table`: a
    row each slide, a column each label; `patients`: of each slide. Raises `TableError` for a label that is
    constant, an identifier, or known of too few patients.
    """
    if not 1 <= table.shape[1] <= _MOST_LABELS:
        problem = f"there are {table.shape[1]:,} labels, and 1 to {_MOST_LABELS:,} can be learned at once"
        raise TableError(problem, where=_WHERE, remedy="name some with --label")
    if twice := sorted(map(str, set(table.columns[table.columns.duplicated()]))):
        raise TableError(f"the label {twice[0]} is there twice", where=_WHERE, remedy="rename one")
    return [_recognised(str(name), table[name], np.asarray(patients)) for name in table]


def _recognised(name: str, column: pd.Series, patients: NDArray[np.str_]) -> Label:
    words = column.astype(str).str.strip()
    words = words.mask(words.str.lower().isin(_MISSING) | column.isna())
    known = words.notna().to_numpy()
    numbers = pd.to_numeric(words, errors="coerce").to_numpy(dtype=np.float64)
    numeric = bool(np.isfinite(numbers[known]).all())
    different = sorted(set(numbers[known])) if numeric else sorted(set(words[known]))
    whole = numeric and all(float(value).is_integer() for value in different)
    count = len(set(patients[known]))
    leave = "leave this label out, or mend its column"
    if len(different) < 2:
        said = f"is {different[0]} everywhere" if different else "is known of no slide"
        raise TableError(f"the label {name} {said}: one class cannot be learned", where=_WHERE, remedy=leave)
    each = whole and len(different) in (known.sum(), count)
    consecutive = each and len(different) == np.ptp(numbers[known]) + 1
    if (len(different) > _GRADES and consecutive) or (not numeric and len(different) > _MOST_CLASSES):
        problem = f"the label {name} has {len(different)} values in {count} patients, as an identifier has"
        raise TableError(problem, where=_WHERE, remedy=leave)
    if numeric and not (whole and len(different) <= _GRADES) and len(different) > 2:
        if count < _FEWEST:
            problem = f"the label {name} is known of {count} patients, and a number takes {_FEWEST}"
            raise TableError(problem, where=_WHERE, remedy=leave)
        mean, sd = float(numbers[known].mean()), float(numbers[known].std())
        return Label(name, (), (numbers - mean) / sd, mean, sd)
    classes = tuple(f"{value:g}" if numeric else str(value) for value in different)
    codes = np.full(len(words), np.nan)
    own = numbers[known] if numeric else words[known].to_numpy(dtype=str)
    codes[known] = np.searchsorted(np.array(different), own)
    for place, one in enumerate(classes):
        if len(set(patients[codes == place])) < 2:
            problem = f"the class {one} of {name} has one patient, who cannot be learned from and held out"
            raise TableError(problem, where=_WHERE, remedy="give more patients, or leave the class out")
    return Label(name, classes, codes)
