"""The scale of a table: counts, linear abundances, log2, log1p, or already standardised."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError, TableError

SCALES = {
    "counts": "raw counts",
    "linear": "linear abundances (TPM, FPKM, normalised counts)",
    "log2": "log2 of abundances",
    "log1p": "natural logarithm of 1 + counts per 10,000",
    "standardised": "centred values, with negative ones",
}
_LOG_LIMIT = 35.0
_NOT_WHOLE = 0.001
_DEPTH = 10_000.0
_NATURAL_LIMIT = 11.0


def recognise_scale(values: NDArray[Any], *, where: str | None = None) -> str:
    """Tell the scale of a table from its values.

    Whole numbers without a negative one are counts. Values beyond what a logarithm of counts can
    reach are linear. Rows whose `expm1` sum to one constant, or sparse rows of small values, are log1p;
    means about zero with as many negative as positive values are standardised; the rest is log2.

    Parameters
    ----------
    values : ndarray of float, shape (samples, genes)
        NaN marks what is missing.

    Returns
    -------
    str
        A key of `SCALES`.

    Raises
    ------
    TableError
        If nothing is there, values are infinite, counts are negative, or samples are on different scales.
    """
    part = (
        values[np.linspace(0, len(values) - 1, min(len(values), 500)).astype(int)] if len(values) else values
    )
    known = part[~np.isnan(part)]
    if known.size == 0:
        raise TableError("no value is there", where=where, remedy="check that the cells hold numbers")
    if not np.isfinite(known).all():
        remedy = "a logarithm of zero? add a small offset"
        raise TableError("some values are infinite", where=where, remedy=remedy)
    whole = bool((known == np.round(known)).all())
    low, high = float(known.min()), float(known.max())
    if whole and high > 2:
        if low < 0:
            problem = f"whole numbers, yet some are negative (lowest {low:g}), so these are no counts"
            remedy = "give raw counts, or log values; name the scale if it is another"
            raise TableError(problem, where=where, remedy=remedy)
        return "counts"
    with np.errstate(all="ignore"):
        tops = np.array([np.nanmax(row) if not np.isnan(row).all() else np.nan for row in part])
    _check_mixed(tops, where)
    if high > _LOG_LIMIT:
        if low < 0:
            problem = f"values from {low:g} to {high:g} are on no scale that is known"
            raise TableError(problem, where=where, remedy="give counts, TPM or log values, or name the scale")
        return "linear"
    if low >= 0 and high < _NATURAL_LIMIT:
        sums = np.nansum(np.expm1(part), axis=1)
        steady = sums.std() < 0.02 * max(sums.mean(), 1e-9)
        if steady or (known == 0).mean() > 0.3:
            return "log1p"
    negative = float((known < 0).mean())
    if negative > 0.25 and abs(known.mean()) < 0.5 * known.std():
        return "standardised"
    return "log2"


def stated_doubts(values: NDArray[Any], scale: str | None, *, where: str | None = None) -> list[str]:
    """What is doubtful about a scale that somebody states, if one is stated.

    Raises `TableError` if values cannot be on it: logarithms beyond what one reaches.
    """
    if scale is None or not values.size:
        return []
    low, high = float(np.nanmin(values, initial=0.0)), float(np.nanmax(values, initial=0.0))
    if scale in ("log2", "log1p") and high > _LOG_LIMIT:
        problem = f"values up to {high:g} are no {SCALES[scale]}"
        raise TableError(problem, where=where, remedy="name another scale, or let it be recognised")
    if scale == "linear" and low < 0:
        return [f"some values that were said to be abundances are negative (lowest {low:g})"]
    apart = sum(np.count_nonzero(np.abs(row - np.rint(row)) > 1e-3) for row in values)
    if scale == "counts" and apart > _NOT_WHOLE * values.size:
        share = f"{apart / values.size:.0%}"
        return [f"{share} of the values that were said to be raw counts are not whole numbers"]
    return []


def log_cp10k(counts: Any) -> Any:
    """Scale every spot to 10,000 counts over all its genes, then take log1p.

    Parameters
    ----------
    counts : ndarray or sparse, shape (spots, genes)
        Raw counts of **all** genes; choosing a panel comes afterwards.

    Returns
    -------
    ndarray of float32 or CSR of float32, shape (spots, genes)
        Sparse where `counts` is sparse. Spots without counts stay zero.

    Raises
    ------
    TableError
        If a count is negative or not a number.
    """
    from scipy import sparse

    is_sparse = sparse.issparse(counts)
    matrix: Any = counts.tocsr() if is_sparse else np.asarray(counts)
    data: NDArray[Any] = matrix.data if is_sparse else matrix
    if data.size and not (np.isfinite(data).all() and data.min() >= 0):
        remedy = "give raw counts, not scaled or log values"
        raise TableError("some counts are negative or not numbers", remedy=remedy)
    depth = np.asarray(matrix.sum(axis=1), dtype=np.float64).reshape(-1)
    factor = np.divide(_DEPTH, depth, out=np.zeros_like(depth), where=depth > 0)
    if not is_sparse:
        return np.log1p(matrix * factor[:, None]).astype(np.float32)
    scaled = sparse.csr_array(sparse.diags_array(factor) @ matrix)
    scaled.data = np.log1p(scaled.data).astype(np.float32)
    return scaled.astype(np.float32)


def convert(values: NDArray[Any], source: str, target: str) -> NDArray[np.float32]:
    """Bring values of one scale to another, as far as that can be done.

    Parameters
    ----------
    values : ndarray of float, shape (samples, genes)
        All genes of the table (log1p needs the sum of each sample).
    source, target : str
        Keys of `SCALES`.

    Returns
    -------
    ndarray of float32, shape (samples, genes)

    Raises
    ------
    SettingError
        If there is no way from one to the other.
    """
    values = np.asarray(values, dtype=np.float32)
    if source == target:
        return values
    if target == "log1p" and source in ("counts", "linear"):
        total = np.nansum(values, axis=1, keepdims=True)
        return np.asarray(np.log1p(values / np.where(total > 0, total, 1) * 1e4), dtype=np.float32)
    if target == "log2" and source in ("counts", "linear"):
        return np.asarray(np.log2(values + 1), dtype=np.float32)
    raise SettingError(
        f"values that are {SCALES.get(source, source)} cannot be turned into {SCALES.get(target, target)}",
        remedy="give counts, or let the table be standardised by its own means",
    )


def _check_mixed(tops: NDArray[Any], where: str | None) -> None:
    tops = tops[~np.isnan(tops)]
    if len(tops) < 2:
        return
    linear = tops > 10 * _LOG_LIMIT
    if linear.any() and (tops < _LOG_LIMIT).any() and not (tops < 2).all():
        few = min(int(linear.sum()), int((~linear).sum()))
        raise TableError(
            f"samples are on different scales: in {few} of {len(tops)} looked at, the highest value is on "
            "the other side of what a logarithm can reach",
            where=where,
            remedy="bring all samples to one scale first",
        )
