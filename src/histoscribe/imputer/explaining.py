"""What a model made of a table: the summary of each sample, and what carried a restored gene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.imputer.restorer import Restorer
from histoscribe.imputer.standard import Standardised
from histoscribe.imputer.tables import ordered_rows
from histoscribe.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 256


def summarise(restorer: Restorer, units: Standardised) -> NDArray[np.float32]:
    """The expected factors of each sample, shape (samples, factors); NaN where nothing is known."""
    known = ~np.isnan(units.values)
    result = np.full((len(known), restorer.start.loadings.shape[1]), np.nan, dtype=np.float32)
    rows = ordered_rows(known)
    for at in range(0, len(rows), _CHUNK):
        some = rows[at : at + _CHUNK]
        with torch.inference_mode():
            found = restorer.start.factors(
                torch.from_numpy(np.nan_to_num(units.values[some])), torch.from_numpy(known[some])
            )
        result[some] = found.numpy()
    return result


def explain(
    restorer: Restorer,
    units: Standardised,
    asked: int,
    genes: Sequence[str],
    samples: pd.Index[str],
    progress: Progress,
) -> pd.DataFrame:
    """Value times derivative of a restored gene with respect to every observed one.

    Parameters
    ----------
    asked : int
        Which gene of the model; its own values are hidden.
    genes : sequence of str
        Names of the model's genes.
    samples : Index
        Names of the table's samples.

    Returns
    -------
    DataFrame, samples × observed genes
        In falling order of the mean absolute weight; NaN for samples of which nothing is known.
    """
    import pandas as pd

    hidden = units.values.copy()
    hidden[:, asked] = np.nan
    known = ~np.isnan(hidden)
    rows = ordered_rows(known)
    told = np.flatnonzero(known.any(0))
    weights = np.full((len(hidden), len(told)), np.nan, dtype=np.float32)
    offered = torch.from_numpy(known.any(0))
    for at in range(0, len(rows), _CHUNK):
        progress.report("tracing what carried the gene", at, len(rows))
        some = rows[at : at + _CHUNK]
        values = torch.from_numpy(np.nan_to_num(hidden[some])).requires_grad_()
        answer = restorer(values, torch.from_numpy(known[some]), offered)
        (slope,) = torch.autograd.grad(answer.mean[:, asked].sum(), values)
        weights[some] = (slope * values).detach().numpy()[:, told]
    frame = pd.DataFrame(weights, index=samples, columns=[genes[int(place)] for place in told])
    order = np.argsort(-np.nan_to_num(frame.abs().mean().to_numpy()), kind="stable")
    return frame.iloc[:, order]
