"""Smooth random fields and the random streams behind a simulation."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import gaussian_filter

from histoscribe.arrays import Floats


def stream(*words: object) -> np.random.Generator:
    """A random stream that depends on nothing but the words, on every machine."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Floats:
    """A Gaussian random field of mean 0 and standard deviation 1, shape (rows, columns).

    `scale`: correlation length in pixels, the standard deviation of the smoothing kernel.
    """
    step = max(1, int(scale / 3))
    coarse = tuple(max(2, -(-extent // step)) for extent in shape)
    noise = rng.standard_normal(coarse, dtype=np.float32)
    field = enlarge(gaussian_filter(noise, scale / step, mode="reflect"), shape)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), dtype=np.float32)


def enlarge(field: NDArray[np.floating], shape: tuple[int, int]) -> Floats:
    """Resample a field bilinearly to `shape` (rows, columns), the pixel grids sharing their edges."""
    rows, columns = (_bilinear(old, new) for old, new in zip(field.shape, shape, strict=True))
    half = rows @ np.asarray(field, dtype=np.float32)
    return np.ascontiguousarray((columns @ half.T).T)


def _bilinear(old: int, new: int) -> sparse.csr_array:
    """The matrix that resamples `old` values to `new` ones, shape (new, old)."""
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.minimum(at.astype(int), max(old - 2, 0))
    share = (at - low).astype(np.float32)
    index = np.arange(new)
    high = np.minimum(low + 1, old - 1)
    entries = (np.concatenate([1 - share, share]), (np.tile(index, 2), np.concatenate([low, high])))
    return sparse.csr_array(entries, shape=(new, old), dtype=np.float32)
