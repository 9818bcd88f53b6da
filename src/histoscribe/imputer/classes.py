"""Classes read out of the memory: what a new sample is, by the labelled samples that are like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from histoscribe.bulk.given import bulk_of
from histoscribe.errors import TableError
from histoscribe.imputer.reference import ReferenceMemory
from histoscribe.imputer.standard import learn_standard, standardise

if TYPE_CHECKING:
    import pandas as pd

    from histoscribe.bulk.given import Table


def expect_classes(labelled: Table, labels: Sequence[str], table: Table) -> pd.DataFrame:
    """Tell the class of samples by the genes that they have.

    A class is restored like a gene that only the labelled samples have: one column for each, 1 where a
    sample is of it, read from the reference memory by the genes that both tables share.

    Parameters
    ----------
    labelled : AnnData, BulkTable or Section
        Samples whose class is known.
    labels : sequence of str
        Their classes.
    table : AnnData, BulkTable or Section
        Samples to tell; holes count as the mean.

    Returns
    -------
    DataFrame, samples × classes
        Expected membership: about 0 to 1, the largest is the class.

    Raises
    ------
    TableError
        If labels and samples differ in number, there is one class only, or no gene is shared.
    """
    import pandas as pd

    bulk, asked = bulk_of(labelled), bulk_of(table)
    names = np.asarray(labels, dtype=str)
    classes = np.unique(names)
    if len(names) != bulk.table.n_obs or len(classes) < 2:
        raise TableError(
            f"{len(names)} labels of {len(classes)} classes were given for {bulk.table.n_obs} samples",
            where=bulk.name,
            remedy="give one for each sample, and at least two classes",
        )
    standard, values, kept, _ = learn_standard(bulk)
    units = standardise(asked, standard, {}, adapt=False)
    member = (names[kept, None] == classes).astype(np.float32)
    share = member.mean(0)
    memory = ReferenceMemory(torch.from_numpy(np.hstack([np.nan_to_num(values), member - share])))
    shown = np.hstack([np.nan_to_num(units.values), np.zeros((len(units.values), len(classes)), np.float32)])
    offered = np.concatenate([units.places >= 0, np.zeros(len(classes), dtype=bool)])
    observed = np.broadcast_to(offered, shown.shape)
    with torch.inference_mode():
        found, _ = memory.read(
            torch.from_numpy(shown), torch.from_numpy(observed.copy()), torch.from_numpy(offered)
        )
    expected = found[:, -len(classes) :].numpy() + share
    return pd.DataFrame(expected, index=asked.table.obs_names, columns=list(classes))
