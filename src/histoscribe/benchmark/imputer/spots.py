"""Genes hidden from spots: a section restored by what was learned on others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.imputer import baselines
from histoscribe.benchmark.imputer.holdout import HeldOut
from histoscribe.benchmark.imputer.scores import Figure, score
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable
    from histoscribe.imputer import Imputer
    from histoscribe.section import Section

Method = Callable[[HeldOut], baselines.Restore]

_TRIED: Mapping[str, Sequence[Method]] = {
    "gene mean": [baselines.gene_mean],
    "KNN": [partial(baselines.nearest, neighbours=count) for count in (10, 30, 60)],
    "iterative low-rank": [partial(baselines.low_rank, rank=rank) for rank in (10, 20, 50)],
    "conditional Gaussian": [
        partial(baselines.conditional_gaussian, shrunk=shrunk) for shrunk in (0.2, 0.5, 0.8)
    ],
    "ridge": [baselines.ridge],
}
METHODS = (*_TRIED, "histoscribe (these sections alone)", "histoscribe")


@dataclass(frozen=True, eq=False)
class Spots:
    """Spots of several sections on the scale of log1p of counts per 10,000.

    Parameters
    ----------
    bulk : BulkTable
        `obs["patient"]` holds the section, so that sections are what is held out.
    test : str
        The section whose genes are hidden.
    hidden : ndarray of str
    """

    bulk: BulkTable
    test: str
    hidden: NDArray[np.str_]


def gather(sections: Sequence[Section], test: str, *, genes: int, hidden: int, seed: int) -> Spots:
    """Take the best-measured genes of the training sections, and hide some of them.

    Parameters
    ----------
    sections : sequence of Section
    test : str
        Name of the one that is restored; it has no say in the choice of genes.
    genes, hidden : int
        How many genes, by their counts in the training sections, and how many of those are hidden, at random.
    seed : int
    """
    import pandas as pd
    from anndata import AnnData

    from histoscribe.bulk import as_table

    learn = [section for section in sections if section.name != test]
    common = sorted(set(sections[0].genes).intersection(*(section.genes for section in sections)))
    total = sum(np.asarray(section.table[:, common].X.sum(axis=0)).ravel() for section in learn)
    best = [common[place] for place in np.sort(np.argsort(-np.asarray(total), kind="stable")[:genes])]
    parts = [_logs(section, best) for section in sections]
    names = [f"{section.name} {spot}" for section in sections for spot in section.table.obs_names]
    owner = np.repeat([section.name for section in sections], [len(part) for part in parts])
    obs = pd.DataFrame({"patient": owner}, index=names)
    table = AnnData(np.concatenate(parts), obs=obs, var=pd.DataFrame(index=best))
    chosen = np.random.default_rng(seed).choice(best, min(hidden, genes - 1), replace=False)
    return Spots(as_table(table, name=test, scale="log1p"), test, chosen)


def restoring_spots(
    spots: Spots, method: str, seed: int, pretrained: Imputer | None, progress: Progress
) -> dict[str, Figure]:
    """Restore the hidden genes of the test section.

    What a baseline leaves open (neighbours, rank, shrinkage) is chosen by holding out one training
    section. `histoscribe` is the bundled model tuned on the training sections.
    """
    held = _held(spots.bulk, spots.test, seed)
    seen = np.broadcast_to(~np.isin(held.bulk.table.var_names, spots.hidden), held.truth.shape)
    if method in _TRIED:
        restore = _chosen(_TRIED[method], held, seen)(held)
    else:
        restore = _product(held, None if "alone" in method else pretrained, progress)
    figures = score(held, restore, seen)
    return {name: figures[name] for name in ("gene r", "RMSE", "cover 90") if name in figures}


def _chosen(tried: Sequence[Method], held: HeldOut, seen: NDArray[np.bool_]) -> Method:
    if len(tried) == 1:
        return tried[0]
    owner = held.bulk.table.obs["patient"].astype(str).to_numpy()
    learn = replace(held.bulk, table=held.bulk.table[~held.test].copy())
    inner = _held(learn, str(owner[~held.test][-1]), held.seed)
    hide = np.broadcast_to(seen[0], inner.truth.shape)
    return max(tried, key=lambda method: score(inner, method(inner), hide)["gene r"][0])


def _product(held: HeldOut, pretrained: Imputer | None, progress: Progress) -> baselines.Restore:
    from histoscribe.imputer import Imputer

    table = held.bulk.table
    learn = replace(held.bulk, table=table[~held.test].copy())
    base = Imputer() if pretrained is None else pretrained
    told = Progress(lambda step: progress.report(step.message))
    imputer = base.fit(learn, progress=told) if pretrained is None else base.fine_tune(learn, progress=told)

    def restore(shown: Any) -> Any:
        there = ~np.isnan(shown).all(0)
        test = table[held.test][:, there].copy()
        result = imputer.restore(replace(held.bulk, table=test), progress=told)[:, table.var_names]
        return (result.layers["restored"] - held.mean) / held.sd, result.layers["sd"] / held.sd

    return restore


def _held(bulk: BulkTable, test: str, seed: int) -> HeldOut:
    values = np.asarray(bulk.table.X, dtype=np.float32)
    out = bulk.table.obs["patient"].astype(str).to_numpy() == test
    mean, sd = values[~out].mean(0), values[~out].std(0) + 1e-6
    z = (values - mean) / sd
    return HeldOut(bulk, out, z[~out], z[out], mean, sd, np.full(len(z), ""), seed)


def _logs(section: Section, genes: Sequence[str]) -> NDArray[np.float32]:
    """log1p of counts per 10,000 of all genes, shape (spots, genes asked)."""
    counts: Any = section.table.X
    depth = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    some = counts[:, section.table.var_names.get_indexer(list(genes))].toarray()
    return np.asarray(np.log1p(some / np.maximum(depth, 1)[:, None] * 1e4), dtype=np.float32)
