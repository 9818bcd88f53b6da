"""Encoding: the tiles of a slide described in chunks, on all cores or on a cluster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.features.encoder import TileEncoder
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.slide import Slide
    from histoscribe.tiles import Tiles

_CHUNK = 8  # tiles read and described by one task
_TASKS = 8  # tasks per core between two reports: a stop is obeyed within about a second


def encode_tiles(
    slide: Slide, tiles: Tiles, encoder: TileEncoder, *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Describe every tile of a slide.

    Chunks of tiles run on dask: on the threads of this machine, or on the cluster of the
    `dask.distributed` client that is active. The result does not depend on either. Reports and
    cancelling happen on the calling thread.

    Parameters
    ----------
    slide : Slide
        With known µm per pixel.
    tiles : Tiles
        Where to look.
    encoder : TileEncoder
        States crop and µm per pixel.
    progress : Progress, optional
        Reported to as tiles are finished.

    Returns
    -------
    ndarray of float32, shape (tiles, encoder.dimension)
        In the order of `tiles`.

    Raises
    ------
    SlideError
        If the slide's µm per pixel are unknown or it cannot be read.
    Cancelled
        If the progress was cancelled.
    """
    import dask.config
    from dask.base import compute
    from dask.delayed import delayed
    from dask.system import CPU_COUNT

    if slide.mpp is None:
        raise SlideError("the µm per pixel are unknown", where=slide.path, remedy="state them with --mpp")
    progress = progress or Progress()
    # Bound to the function rather than passed, because dask looks for its own collections in arguments.
    task = delayed(partial(_encode, slide, tiles, encoder), pure=False)
    out = np.empty((len(tiles), encoder.dimension), dtype=np.float32)
    wave = _CHUNK * _TASKS * max(1, int(dask.config.get("num_workers", None) or CPU_COUNT))
    message = f"describing tiles of {slide.name}"
    for start in range(0, len(tiles), wave):
        progress.report(message, start, len(tiles))
        stop = min(start + wave, len(tiles))
        chunks = [task(first, min(first + _CHUNK, stop)) for first in range(start, stop, _CHUNK)]
        parts = compute(*chunks)  # type: ignore[no-untyped-call]
        np.concatenate(parts, out=out[start:stop])
    progress.report(message, len(tiles), len(tiles))
    return out


def _encode(slide: Slide, tiles: Tiles, encoder: TileEncoder, start: int, stop: int) -> NDArray[np.float32]:
    """Describe the tiles `start` to `stop`."""
    from histoscribe.tiles import Tiles, read_crops

    part = Tiles(tiles.centres[start:stop], tiles.pitch_um, tiles.names[start:stop], tiles.spot_um)
    crops = read_crops(slide, part, crop_um=encoder.crop_um, mpp=encoder.mpp, chunk=stop - start)
    return np.concatenate([encoder.encode(chunk) for chunk in crops])
