"""Training that is stopped, goes on, and runs in several processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from anndata import AnnData

from histoscribe.errors import Cancelled
from histoscribe.imputer import Imputer
from histoscribe.progress import Progress, Step

Maker = Callable[..., AnnData]


def test_stopped_training_goes_on_and_gives_the_same_model(
    table_maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoscribe.imputer.training.correction._KEEP_EVERY", 5)

    def stop(step: Step) -> None:
        if step.message == "training the correction" and step.done >= 7:
            progress.cancel()

    table, progress = table_maker(samples=60, genes=20), Progress(stop)
    with pytest.raises(Cancelled):
        Imputer(factors=4, steps=9).fit(table, checkpoint=tmp_path / "kept", progress=progress)
    seen: list[int] = []
    listener = Progress(lambda step: seen.append(step.done) if "correction" in step.message else None)
    gone_on = Imputer(factors=4, steps=9).fit(table, checkpoint=tmp_path / "kept", progress=listener)
    assert seen[1] == 6
    whole = Imputer(factors=4, steps=9).fit(table)
    assert gone_on.card.sha256 == whole.card.sha256
    other: list[int] = []
    listener = Progress(lambda step: other.append(step.done) if "correction" in step.message else None)
    Imputer(factors=4, steps=9, seed=1).fit(table, checkpoint=tmp_path / "kept", progress=listener)
    assert other[1] == 1


def test_several_processes_train_one_model(
    table_maker: Maker, fresh: AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the number of threads is given, as on clusters: Lightning then leaves it as it is."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    table = table_maker(samples=60, genes=60)
    imputer = Imputer(factors=4, steps=6, devices=2).fit(table)
    restored = imputer.restore(fresh[:, :40].copy()).layers["restored"]
    assert np.isfinite(restored).all()


def test_training_leaves_random_state_and_threads_as_they_were(table_maker: Maker) -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    Imputer(factors=4, steps=2).fit(table_maker(samples=40, genes=20))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
