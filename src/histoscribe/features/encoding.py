"""Encoding: the tiles of a slide described in chunks, on all cores or on a cluster, kept in a store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from histoscribe.arrays import Floats
from histoscribe.errors import SlideError
from histoscribe.features.encoder import TileEncoder
from histoscribe.features.store import CHUNK, Shelf, open_shelf, store_in_use
from histoscribe.features.tasks import cluster, run_all
from histoscribe.progress import Progress
from histoscribe.rows import Held, room, runs_of
from histoscribe.slide import Level, Slide, open_slide
from histoscribe.tiles import Tiles, read_crops


@dataclass(frozen=True, eq=False)
class Description:
    """The descriptors of a slide's tiles, and how they were come by."""

    features: Held
    """In the order of the tiles, shape (tiles, dimension); on disk where they are very many."""
    chunks: int
    """Chunks of tiles in all."""
    reused: int = 0
    """Chunks that were in the store already."""
    damaged: int = 0
    """Chunks that were in the store, but damaged, and were described again."""
    repeated: int = 0
    """How often a chunk was begun anew, in this run or an earlier one, because its worker was killed."""


def encode_tiles(
    slide: Slide, tiles: Tiles, encoder: TileEncoder, *, progress: Progress | None = None
) -> Floats:
    """Describe every tile of a slide; the features of `describe_tiles`.

    Returns
    -------
    ndarray of float32, shape (tiles, encoder.dimension)
        In the order of `tiles`.
    """
    return np.asarray(describe_tiles(slide, tiles, encoder, progress=progress).features)


def describe_tiles(
    slide: Slide, tiles: Tiles, encoder: TileEncoder, *, progress: Progress | None = None
) -> Description:
    """Describe every tile of a slide, or find what was described before.

    Chunks of tiles run on Dask: on the threads of this machine, or on the cluster of the
    `dask.distributed` client that is active (see `connected`). The result does not depend on either.
    Inside of `storing` each chunk is kept as soon as it is finished, so a run that was killed goes on with
    the chunks that are missing; on a cluster all workers must see that folder. Reports and cancelling
    happen on the calling thread.

    Parameters
    ----------
    slide : Slide
        With known µm per pixel. Workers of a cluster open its path again.
    encoder : TileEncoder
        States crop and µm per pixel.
    progress : Progress, optional
        Reported to as tiles are finished.

    Raises
    ------
    SlideError
        If the slide's µm per pixel are unknown or it cannot be read.
    StorageError
        If the store cannot be written.
    Cancelled
        If the progress was cancelled.
    """
    if slide.mpp is None:
        raise SlideError("the µm per pixel are unknown", where=slide.path, remedy="state them with --mpp")
    progress = progress or Progress()
    message = f"describing tiles of {slide.name}"
    progress.report(message, 0, len(tiles))
    store = store_in_use()
    shelf = None if store is None or not len(tiles) else open_shelf(store, slide, tiles, encoder)
    whole, damaged = (set(), set()) if shelf is None else shelf.checked()
    if damaged:
        message += f" ({len(damaged)} damaged chunks of the store again)"
    parts = []
    for chunk in sorted(set(range(-(-len(tiles) // CHUNK))) - whole):
        rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        part = replace(tiles, centres=tiles.centres[rows], names=tiles.names[rows])
        parts.append((chunk, part, chunk in damaged))
    origin = slide if cluster() is None else SlideSource.of(slide)
    left = sum(len(part) for _, part, _ in parts)
    features = room((len(tiles), encoder.dimension))

    def check() -> None:
        progress.report(message, len(tiles) - left, len(tiles))

    for chunk, count, values in run_all(partial(_describe, origin, encoder, shelf), parts, check):
        left -= count
        if values is not None:
            features[chunk * CHUNK : chunk * CHUNK + count] = values
    progress.report(message, len(tiles), len(tiles))
    if shelf is None:
        return Description(features, len(parts))
    for rows in runs_of(features):
        features[rows] = shelf.read(rows)
    return Description(features, shelf.chunks, len(whole), len(damaged), shelf.repeated())


def _describe(
    origin: Slide | SlideSource, encoder: TileEncoder, shelf: Shelf | None, part: tuple[int, Tiles, bool]
) -> tuple[int, int, Floats | None]:
    """Describe one chunk: its number, its tiles, whether it is mended; small enough to be sent to a worker.

    Returns its number, how many tiles it has, and its descriptors unless they are in the store.
    """
    chunk, tiles, mended = part
    if shelf is not None:
        shelf.begin(chunk, mended=mended)
    slide = _opened(origin) if isinstance(origin, SlideSource) else origin
    count = len(tiles)
    crops = next(read_crops(slide, tiles, crop_um=encoder.crop_um, mpp=encoder.mpp, chunk=count))
    values = encoder.encode(crops)
    if shelf is None:
        return chunk, count, values
    shelf.write(chunk, values)
    return chunk, count, None


@dataclass(frozen=True)
class SlideSource:
    """What is needed to open a slide elsewhere and to be sure that it is the same."""

    place: str
    """Absolute path, or URL; the other process must see the same there."""
    mpp: float | None
    """µm per full-resolution pixel."""
    levels: tuple[tuple[int, int, float], ...]
    """Rows, columns and downsample factor of each level."""

    @classmethod
    def of(cls, slide: Slide) -> SlideSource:
        """The source of an open slide."""
        levels = tuple((*level.shape, level.downsample) for level in slide.levels)
        return cls(slide.url or str(slide.path.absolute()), slide.mpp, levels)


@lru_cache(maxsize=4)
def _opened(source: SlideSource) -> Slide:
    """Open it in this process; what was opened lately is kept."""
    slide = open_slide(source.place, mpp=source.mpp)
    if [level.shape for level in slide.levels] != [level[:2] for level in source.levels]:
        problem = "another process finds another image there"
        raise SlideError(problem, where=source.place, remedy="leave --scheduler out for this slide")
    # A section may know factors that the image file does not.
    pairs = zip(slide.levels, source.levels, strict=True)
    return replace(slide, levels=tuple(Level(level.pixels, known[2]) for level, known in pairs))
