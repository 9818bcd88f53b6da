"""The imputer itself: in its default settings, and on spots tuned from a bundled model or learned anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.benchmark.imputer.heldout import HeldOut, Restore
from histoscribe.benchmark.methods import REFERENCE, Method
from histoscribe.classifier import Classifier
from histoscribe.imputer import Imputer
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.benchmark.imputer.spots import HeldSection
    from histoscribe.benchmark.imputer.survival import Part
    from histoscribe.bulk import BulkTable

_CODE = ("histoscribe.imputer", "histoscribe.models")


def restoring(held: HeldOut) -> Restore:
    """The product in its default settings."""
    table = held.bulk.table
    imputer = Imputer().fit(held.training)
    test = replace(held.bulk, table=table[held.test].copy())

    def restore(shown: Floats) -> tuple[Floats, Floats]:
        test.table.X = (shown * held.sd + held.mean).astype(np.float32)
        result = imputer.restore(test)[:, table.var_names]
        return (result.layers["restored"] - held.mean) / held.sd, result.layers["sd"] / held.sd

    return restore


def tuned(held: HeldSection) -> Restore:
    """The bundled model tuned on the training sections; learned on them where there is none."""
    model = held.pretrained
    if model is None:
        return alone(held)
    return _on_spots(held, lambda progress: model.fine_tune(held.training, progress=progress))


def alone(held: HeldSection) -> Restore:
    """A model of these sections alone."""
    return _on_spots(held, lambda progress: Imputer().fit(held.training, progress=progress))


def classify(train: BulkTable, labels: NDArray[np.str_], test: BulkTable) -> NDArray[np.str_]:
    """The class that the memory of the training samples expects."""
    told = Classifier().fit(train, labels.tolist()).classify(test)
    return np.asarray(told["nearest"], dtype=str)


def observed_and_anchors(part: Part, panel: Numbers) -> Wide:
    """Observed genes, and the restored values of those outside the panel that survival hangs on most."""
    return np.hstack([part.values[:, panel], part.fold.restored(panel)[:, part.anchors(panel)]])


def _on_spots(held: HeldSection, fitted: Callable[[Progress], Imputer]) -> Restore:
    table = held.bulk.table
    told = Progress(lambda step: held.progress.report(step.message))
    imputer = fitted(told)

    def restore(shown: Floats) -> tuple[Floats, Floats]:
        there = ~np.isnan(shown).all(0)
        test = table[held.test][:, there].copy()
        result = imputer.restore(replace(held.bulk, table=test), progress=told)[:, table.var_names]
        return (result.layers["restored"] - held.mean) / held.sd, result.layers["sd"] / held.sd

    return restore


METHODS = (
    Method("histoscribe (these sections alone)", ("imputer spots",), alone, depends=_CODE),
    Method("observed + restored anchors", ("imputer survival",), observed_and_anchors, depends=_CODE),
    Method(REFERENCE, ("imputer random", "imputer low", "imputer panels"), restoring, depends=_CODE),
    Method(REFERENCE, ("imputer spots",), tuned, depends=_CODE),
    Method(REFERENCE, ("imputer classes",), classify, depends=("histoscribe.classifier", *_CODE)),
)
