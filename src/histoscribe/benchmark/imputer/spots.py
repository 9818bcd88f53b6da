"""Genes hidden from spots: a section restored by what was learned on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from histoscribe.arrays import Mask
from histoscribe.benchmark.imputer.heldout import Figure, HeldOut, Restore, score
from histoscribe.benchmark.methods import Method
from histoscribe.bulk import BulkTable, as_table
from histoscribe.bulk.table import dense
from histoscribe.predictor.target import log_cp10k
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.imputer import Imputer
    from histoscribe.section import Section


@dataclass(frozen=True, eq=False)
class HeldSection(HeldOut):
    """A section held out, on the scale of log1p of counts per 10,000; `obs["patient"]` holds the sections."""

    hidden: Mask = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Genes that are hidden in the held-out section, shape (genes,)."""
    pretrained: Imputer | None = None
    """What `histoscribe` tunes."""
    progress: Progress = field(default_factory=Progress)

    @property
    def seen(self) -> Mask:
        """What methods may see, shape (held-out spots, genes)."""
        return np.broadcast_to(~self.hidden, self.truth.shape)


def hold_section(
    sections: Sequence[Section],
    test: str,
    *,
    genes: int,
    hidden: int,
    seed: int,
    pretrained: Imputer | None = None,
    progress: Progress | None = None,
) -> HeldSection:
    """Take the best-measured genes of the training sections, and hide some of them in another.

    `test`: name of the one that is restored, which has no say in the choice of genes; `genes`: how many, by
    their counts in the training sections; `hidden`: how many of those are hidden, at random.
    """
    learn = [section for section in sections if section.name != test]
    common = sorted(set(sections[0].genes).intersection(*(section.genes for section in sections)))
    total = sum(np.asarray(section.table[:, common].X.sum(axis=0)).ravel() for section in learn)
    best = [common[place] for place in np.sort(np.argsort(-np.asarray(total), kind="stable")[:genes])]
    parts = [
        dense(log_cp10k(section.table.X)[:, section.table.var_names.get_indexer(best)])
        for section in sections
    ]
    names = [f"{section.name} {spot}" for section in sections for spot in section.table.obs_names]
    owner = np.repeat([section.name for section in sections], [len(part) for part in parts])
    obs = pd.DataFrame({"patient": owner}, index=names)
    places = np.concatenate([section.table.obsm["spatial"] for section in sections])
    table = AnnData(np.concatenate(parts), obs=obs, var=pd.DataFrame(index=best), obsm={"spatial": places})
    chosen = np.random.default_rng(seed).choice(best, min(hidden, genes - 1), replace=False)
    held = _held(as_table(table, name=test, scale="log1p"), test, seed)
    hides = np.isin(held.bulk.table.var_names, chosen)
    return replace(held, hidden=hides, pretrained=pretrained, progress=progress or Progress())


def chosen_of(tried: Sequence[Callable[[HeldOut], Restore]], held: HeldSection) -> Restore:
    """The method that restores a held-out training section best by r of its genes, learned on all of them."""
    owner = held.bulk.table.obs["patient"].astype(str).to_numpy()
    inner = _held(held.training, str(owner[~held.test][-1]), held.seed)
    hide = np.broadcast_to(~held.hidden, inner.truth.shape)
    return max(tried, key=lambda method: score(inner, method(inner), hide)["gene r"][0])(held)


def score_spots(held: HeldSection, method: Method) -> dict[str, Figure]:
    """How well the hidden genes of the held-out section are restored."""
    figures = score(held, method.learn(held), held.seen)
    return {name: figures[name] for name in ("gene r", "RMSE", "cover 90") if name in figures}


def _held(bulk: BulkTable, test: str, seed: int) -> HeldSection:
    values = np.asarray(bulk.table.X, dtype=np.float32)
    out = bulk.table.obs["patient"].astype(str).to_numpy() == test
    mean, sd = values[~out].mean(0), values[~out].std(0) + 1e-6
    z = (values - mean) / sd
    return HeldSection(bulk, out, z[~out], z[out], mean, sd, np.full(len(z), ""), seed)
