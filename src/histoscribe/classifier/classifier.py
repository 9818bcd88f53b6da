"""The user's object: remember labelled samples, tell new ones from any panel of genes, and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask, Numbers, Wide
from histoscribe.bulk import BulkTable, as_table, bulk_of
from histoscribe.bulk.table import Table
from histoscribe.classifier.head import FOLDS, Head
from histoscribe.errors import ModelError, SettingError, TableError
from histoscribe.features.device import one_thread
from histoscribe.generator.parents import pseudo_bulk
from histoscribe.imputer import Imputer
from histoscribe.imputer.units import UnitTable, groups_of, learn_standard, standard_of, standardise
from histoscribe.models import Card, Estimator, TrainingSection, bundled, require_shapes
from histoscribe.models.estimator import settings_from
from histoscribe.models.folds import deal_folds
from histoscribe.models.standard import ANEW, Standard
from histoscribe.progress import Progress
from histoscribe.section import Section

UNKNOWN = "unknown"
_FEWEST_GENES = 10
_TOGETHER = "samples were asked together: what is unknown depends on the others of the table"
_ONE_BY_ONE = "samples were asked one by one: spots, and tables in their own units, are not asked together"
_MARKERS = 25


@dataclass(frozen=True)
class ClassifierSettings:
    """What is chosen beforehand."""

    unknown: float = 0.05
    """Share of samples of known classes that may be called unknown."""

    def __post_init__(self) -> None:
        if not 0 < self.unknown < 1:
            raise SettingError(f"unknown is {self.unknown!r}", remedy="choose a share between 0 and 1")


@dataclass(frozen=True, eq=False)
class ClassifierState:
    """Labelled samples."""

    samples: Floats
    """Standardised, holes at the mean, shape (samples, genes)."""
    standard: Standard
    codes: Numbers
    """The number of each sample's class, shape (samples,)."""
    classes: tuple[str, ...]
    patients: list[str]
    """Of each sample."""
    memory: str = ""
    """The bundled imputer whose samples they are; empty where they are its own."""


class Classifier(Estimator[ClassifierSettings, ClassifierState]):
    """Tells what samples are, by whatever genes they have, or that they are none of what it knows.

    It remembers labelled samples. For the genes of a table, classes are read from that memory as the imputer
    reads genes, and calibrated on held-out patients: nothing has to be trained again for another panel.

    Parameters
    ----------
    unknown : float
        Share of samples of known classes that may be called unknown.
    licence : str
        Under which terms the memory may be used; goes into the card.

    Raises
    ------
    SettingError
        If `unknown` is no share.
    """

    kind = "classifier"

    def __init__(self, *, unknown: float = 0.05, licence: str = "not stated") -> None:
        super().__init__(ClassifierSettings(unknown), licence=licence)

    def fit(
        self, table: Table | str, labels: Sequence[str], *, patients: Sequence[str] | str | None = None
    ) -> Classifier:
        """Remember labelled samples.

        Parameters
        ----------
        table : AnnData, BulkTable, Section or str
            Samples by genes; or the name of a bundled imputer, whose memory is labelled and not stored again.
        labels : sequence of str
            The class of each sample; empty ones are left out.
        patients : sequence of str or str, optional
            As `Imputer.fit` takes them.

        Raises
        ------
        TableError
            If there are fewer than two classes, a class has one patient alone, or labels do not fit samples.
        """
        bulk, memory = (None, table) if isinstance(table, str) else (bulk_of(table), "")
        if bulk is None:
            values, standard, owners, names = _remembered(memory)
        else:
            owners, names = groups_of(bulk, patients), list(map(str, bulk.table.obs_names))
        where = memory if bulk is None else bulk.name
        if len(labels) != len(owners):
            problem = f"{len(labels)} labels were given for {len(owners)} samples"
            raise TableError(problem, where=where, remedy="give one for each sample")
        unknown = [pd.isna(one) or str(one).lower() == "nan" for one in labels]
        said = np.array(["" if no else str(one).strip() for no, one in zip(unknown, labels, strict=True)])
        _check(said, owners, where)
        kept = np.ones(len(said), dtype=bool)
        if bulk is not None:
            standard, values, kept, _ = learn_standard(bulk)
        use = kept & (said != "")
        rows, classes = np.flatnonzero(use), tuple(map(str, np.unique(said[use])))
        owners, names = [owners[row] for row in rows], [names[row] for row in rows]
        codes = np.searchsorted(classes, said[use]).astype(np.int64)
        own = {"classes": list(classes), "scale": standard.scale, "memory": memory}
        settings, training = asdict(self.settings) | own, tuple(map(TrainingSection, names, owners))
        rule = "any genes that are shared"
        card = self._written("memory", standard.genes, "class", rule, training=training, settings=settings)
        samples = np.nan_to_num(values[use[kept]]).astype(np.float16).astype(np.float32)
        return self._learned(ClassifierState(samples, standard, codes, classes, owners, memory), card)

    @one_thread()
    def classify(self, table: Table, *, adapt: bool | None = None, together: bool = False) -> pd.DataFrame:
        """Tell what samples are.

        Parameters
        ----------
        table : AnnData, BulkTable or Section
            Any of the genes, in any order; holes count as the mean.
        adapt : bool, optional
            Standardise by the table's own means, as another platform needs; see `Imputer.restore`.
        together : bool
            Ask the samples of the table together: those of one type that is not known are odd in the same
            way. `novelty`, and with it *unknown*, then depends on the other samples; the nearest class and
            its probability do not. Samples of a hospital that is not remembered are odd in the same way too,
            if less. Spots, and tables standardised by their own means, are asked one by one all the same.

        Returns
        -------
        DataFrame
            Indexed by sample: `class` (`unknown` where the novelty is above 1), `nearest` of the known ones,
            its `probability`, `novelty`, `company` (how many others, called the same and of other patients,
            had a say in it), and `P(class)` of each. `attrs["notes"]` says what is doubtful.

        Raises
        ------
        TableError
            If fewer than ten genes are shared.
        """
        state, bulk, (head, units) = self.fitted, bulk_of(table), self._head(table, adapt)
        own = units.adapted or isinstance(table, Section)
        patients = groups_of(bulk, None) if together and not own else None
        told, novelty, company = head.tell(_asked(units), patients)
        nearest = np.array(state.classes, dtype=object)[told.argmax(1)]
        frame = pd.DataFrame(told, columns=[f"P({name})" for name in state.classes])
        known = {"nearest": nearest, "probability": told.max(1), "novelty": novelty, "company": company}
        frame = pd.concat([pd.DataFrame(known), frame], axis=1)
        frame.insert(0, "class", np.where(novelty > 1, UNKNOWN, nearest))
        said = [_ONE_BY_ONE if own else _TOGETHER] if together else []
        frame.attrs["notes"] = [*units.notes, *said]
        return frame.set_axis(bulk.table.obs_names).rename_axis("sample")

    @one_thread()
    def explain(
        self, table: Table, *, adapt: bool | None = None, draws: int = 8, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Which genes carried each call: Shapley values of its lead over the next class, samples × genes.

        The parameters and errors are those of `classify`; `draws`: pairs of random orders.
        """
        head, units = self._head(table, adapt)
        asked = _asked(units)
        genes = [gene for gene, place in zip(self.genes, units.places, strict=True) if place >= 0]
        rows = (progress or Progress()).track(asked, "asking which genes carried each call", len(asked))
        values = np.array([head.carried(row, draws) for row in rows])
        return pd.DataFrame(values, index=bulk_of(table).table.obs_names, columns=genes)

    def biomarkers(self, count: int = _MARKERS) -> pd.DataFrame:
        """The genes that tell each class from all others, and how steadily: one row a class and gene.

        `effect`: difference of the means over the spread within both. `stability`: the share of five folds
        of whole patients in which the gene is among the first `count` of the class again.
        """
        state = self.fitted
        genes, fold = np.asarray(state.standard.genes), deal_folds(state.patients, FOLDS, 0, state.codes)
        found = []
        for number, name in enumerate(state.classes):
            own = state.codes == number
            effect = _effect(state.samples, own)
            top = np.argsort(-effect, kind="stable")[:count]
            parts = [_effect(state.samples[fold != one], own[fold != one]) for one in range(FOLDS)]
            steady = np.mean([np.isin(top, np.argsort(-part)[:count]) for part in parts], axis=0)
            rows = {"class": name, "gene": genes[top], "effect": effect[top], "stability": steady}
            found.append(pd.DataFrame(rows))
        return pd.concat(found, ignore_index=True)

    def _head(self, table: Table, adapt: bool | None) -> tuple[Head, UnitTable]:
        state, bulk = self.fitted, bulk_of(table)
        units = standardise(bulk, state.standard, {}, adapt=adapt)
        there = units.places >= 0
        if there.sum() < _FEWEST_GENES:
            problem = f"it has {there.sum()} of the classifier's {len(there):,} genes, too few to tell by"
            raise TableError(problem, where=bulk.name, remedy="give more of its genes, or restore them first")
        samples = state.samples[:, there].astype(np.float64)
        return Head.of(samples, state.codes, state.patients, len(state.classes), self.settings.unknown), units

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        state = self.fitted
        labels: dict[str, NDArray[Any]] = {"codes": state.codes.astype(np.int16)}
        if state.memory:
            return labels
        units = {"mean": state.standard.mean, "sd": state.standard.sd}
        return {**labels, **units, "samples": state.samples.astype(np.float16)}

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[ClassifierSettings, ClassifierState]:
        own = card.settings
        classes, memory = tuple(map(str, own.get("classes", ()))), str(own.get("memory", ""))
        settings = settings_from(ClassifierSettings, card, where)
        count, genes = len(card.training), len(card.genes)
        shapes: dict[str, tuple[int, ...]] = {"codes": (count,)}
        if not memory:
            shapes |= {"samples": (count, genes), "mean": (genes,), "sd": (genes,)}
        require_shapes(tensors, shapes, where=where)
        codes, sound = tensors["codes"].astype(np.int64), True
        if memory:
            known, standard, _, names = _remembered(memory)
            place = {name: row for row, name in enumerate(names)}
            rows = [place.get(name, -1) for name in card.sections]
            samples, sound = np.nan_to_num(known[rows]), min(rows, default=-1) >= 0
        else:
            samples = tensors["samples"].astype(np.float32)
            standard = standard_of(card.genes, tensors["mean"], tensors["sd"], str(own["scale"]))
        if not (sound and count and codes.min() >= 0 and codes.max() < len(classes)):
            raise ModelError("its labels do not fit its samples", where=where, remedy=ANEW)
        patients = [one.patient for one in card.training]
        return settings, ClassifierState(samples, standard, codes, classes, patients, memory)


def _remembered(name: str) -> tuple[Floats, Standard, list[str], list[str]]:
    """What a bundled imputer remembers: samples, their units, patients and names."""
    imputer = Imputer.load(bundled(name))
    state, training = imputer.fitted, imputer.card.training
    owners, names = [one.patient for one in training], [one.section for one in training]
    return state.restorer.memory.samples.numpy(), state.standard, owners, names


def _asked(units: UnitTable) -> Wide:
    """The values of the genes that the table has, holes at the mean, shape (samples, genes it has)."""
    return np.nan_to_num(units.values[:, units.places >= 0]).astype(np.float64)


def _check(labels: NDArray[np.str_], owners: Sequence[str], where: str) -> None:
    """Refuse what cannot be learned from."""
    classes = np.unique(labels[labels != ""])
    if len(classes) < 2:
        problem = f"its labels name {len(classes)} class{'es' * (not len(classes))}, and telling takes two"
        raise TableError(problem, where=where, remedy="choose a column with several classes")
    for name in classes:
        if len({owner for owner, label in zip(owners, labels, strict=True) if label == name}) < 2:
            problem = f"the class {name} has one patient, who cannot be learned from and held out too"
            raise TableError(problem, where=where, remedy="give more patients, or leave the class out")


def _effect(samples: Floats, own: Mask) -> NDArray[np.floating[Any]]:
    """Difference of the means of a class and all others over the spread within both, shape (genes,)."""
    spread = np.sqrt(own.mean() * samples[own].var(0) + (~own).mean() * samples[~own].var(0))
    return np.asarray((samples[own].mean(0) - samples[~own].mean(0)) / (spread + 0.05))


def profiles(section: Section, labels: NDArray[np.str_] | None = None) -> BulkTable:
    """The pseudo-bulk of all spots, and of those of each class; `labels` (spots,): empty outside all."""
    parts = [pseudo_bulk(section)]
    for name in sorted(set(() if labels is None else labels.tolist()) - {""}):
        parts.append(pseudo_bulk(section, labels == name, name=name))
    joined = anndata.concat([part.table for part in parts])
    return as_table(joined, name=section.name, scale=parts[0].scale)
