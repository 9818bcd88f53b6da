"""Types that were left out, asked alone and with the other samples of a table; nothing is chosen by them.

python benchmarks/together.py DATA SEED        1, 2, 3; appends to answers.jsonl, see answers.py tables

Patients are dealt into five folds. Each type in turn is left out; fold 0 of the others is asked with it, the
rest is remembered. How much company weighs, and how many others it takes, is chosen inside the rest: four
further types are left out there, one at a time, fold 1 is asked and what is left is remembered. The choice is
the setting that finds most of them, on average over all kinds of tables, of those that find no fewer than
asking alone does in any kind of table and call no more than 5 % of known samples unknown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from answers import keep, tumours

from histoscribe.bulk.table import dense
from histoscribe.classifier.company import Usual
from histoscribe.classifier.head import Head
from histoscribe.models.folds import deal_folds

SETTINGS = [(weight, fewest) for weight in (0.5, 1.0, 2.0, 4.0) for fewest in (1, 2, 4, 7)]
SHARES, DRAWS = (0.0, 0.1, 0.3, 1.0), {5: 8, 20: 4, 100: 2}
WHOLE, ONE_KIND = "all", "one known type"
UNKNOWN, ENOUGH, APART = 0.05, 10, (1, 2)
Kind = tuple[int | str, float]


class Told:
    """One memory, and whatever may be asked of it."""

    def __init__(
        self,
        values: np.ndarray,
        codes: np.ndarray,
        patients: np.ndarray,
        known: np.ndarray,
        asked: np.ndarray,
    ) -> None:
        names, classes = np.unique(codes[known], return_inverse=True)
        there, away = turned(values[known], values[asked])
        self.head = Head.of(there, classes.astype(np.int64), list(patients[known]), len(names), UNKNOWN)
        member, self.strange = self.head.strangeness(away)
        self.called = member.argmax(1)
        units = [(part.within, part.directions(away, self.called)) for part in self.head.parts]
        self.cosine = np.mean([within.products(unit, unit) for within, unit in units], axis=0)
        self.usual: dict[int, Usual] = {}
        self.alone = np.quantile(self.head.held, 1 - UNKNOWN)

    def unknown(self, rows: np.ndarray) -> np.ndarray:
        """Who of a table is unknown by each setting, and last alone; shape (settings + 1, rows)."""
        called, strange, company = self.called[rows], self.strange[rows], self.head.company
        same = (called[:, None] == called) & ~np.eye(len(rows), dtype=bool)
        others = same.sum(1)
        alike = (self.cosine[np.ix_(rows, rows)] * same).sum(1) / np.maximum(others, 1)
        found = np.tile(strange > self.alone, (len(SETTINGS) + 1, 1))
        for number in np.unique(others[others > 0]):
            usual = self.usual.setdefault(int(number), company.usual(int(number), ENOUGH))
            own, held = others == number, self.head.held[company.heard]
            excess = (alike[own] - usual.middle[called[own]]) / usual.spread
            for place, (weight, fewest) in enumerate(SETTINGS):
                if number >= fewest:
                    bound = np.quantile(held + weight * usual.excess, 1 - UNKNOWN)
                    found[place, own] = strange[own] + weight * excess > bound
        return found


def turned(known: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardised by the known, in as few coordinates as keep all distances."""
    mean, sd = known.mean(0), known.std(0)
    good = sd > 1e-4 * np.maximum(np.abs(mean), 1e-2)
    both = np.clip((np.vstack([known, asked])[:, good] - mean[good]) / sd[good], -12, 12)
    values, axes = np.linalg.eigh(both @ both.T)
    kept = values > values[-1] * 1e-10
    turned = axes[:, kept] * np.sqrt(values[kept])
    return turned[: len(known)], turned[len(known) :]


def drawn(kinds: np.ndarray, left: int, seed: int) -> Iterator[tuple[Kind, np.ndarray, np.ndarray]]:
    """Tables of several sizes and shares of the type that was left out: which known ones, which of it."""
    random, known = np.random.default_rng(seed), len(kinds)
    yield (WHOLE, -1), np.arange(known), np.arange(left)
    for kind in np.unique(kinds):
        yield (ONE_KIND, 0.0), np.flatnonzero(kinds == kind), np.arange(0)
    for size, draws in DRAWS.items():
        for share in SHARES * draws:
            own = max(1, round(share * size)) if share else 0
            rows = random.choice(known, min(known, size - own), replace=False)
            yield (size, share), rows, random.choice(left, min(left, own), replace=False)


def scores(told: Told, kinds: np.ndarray, first: int, left: int, seed: int) -> dict[Kind, np.ndarray]:
    """Of each kind of table: left-out samples unknown, all, known ones unknown, all; (settings + 1, 4).

    `kinds`: of the known samples asked, which come first. `first`: the row where those left out begin.
    """
    found: dict[Kind, np.ndarray] = {}
    for kind, rows, own in drawn(kinds, left, seed):
        unknown, strange = (
            told.unknown(np.r_[rows, first + own].astype(int)),
            np.arange(len(rows), len(rows) + len(own)),
        )
        counts = [unknown[:, strange].sum(1), unknown[:, : len(rows)].sum(1)]
        sizes = [np.full(len(unknown), len(own)), np.full(len(unknown), len(rows))]
        found[kind] = found.get(kind, 0) + np.stack([counts[0], sizes[0], counts[1], sizes[1]], axis=1)
    return found


def shares(found: list[dict[Kind, np.ndarray]], first: int) -> dict[Kind, np.ndarray]:
    """Mean over types of the share unknown, by kind of table; `first`: 0 of the left out, 2 of the known."""
    kinds = [kind for kind in found[0] if found[0][kind][0, first + 1]]
    return {
        kind: np.mean([one[kind][:, first] / one[kind][:, first + 1] for one in found], axis=0)
        for kind in kinds
    }


def chosen(inside: list[dict[Kind, np.ndarray]]) -> int:
    """The setting that finds most and loses nothing; alone, which is last, where none does."""
    found = np.array(list(shares(inside, 0).values()))
    false = np.mean(list(shares(inside, 2).values()), axis=0)
    good = (found >= found[:, -1:]).all(0) & (false <= UNKNOWN)
    return int(np.where(good, found.mean(0), -1).argmax())


def main(data: Path, seed: int) -> None:
    """Choose inside, and measure outside."""
    bulk, kinds, owners = tumours(data)
    patients, names = np.array(owners), np.unique(kinds)
    values = np.nan_to_num(dense(bulk.table.X)).astype(np.float64)
    fold = deal_folds(owners, 5, seed, np.unique(kinds, return_inverse=True)[1])
    inside: dict[str, list[dict[Kind, np.ndarray]]] = {name: [] for name in names}
    for apart in APART:
        for place, one in enumerate(names):
            other = names[(place + apart) % len(names)]
            rest = (fold > 0) & (kinds != one) & (kinds != other)
            test = np.flatnonzero(rest & (fold == 1))
            left = [np.flatnonzero((kinds == name) & (fold > 0)) for name in (one, other)]
            told = Told(
                values, kinds, patients, np.flatnonzero(rest & (fold > 1)), np.concatenate([test, *left])
            )
            first = len(test)
            inside[other].append(scores(told, kinds[test], first, len(left[0]), seed))
            inside[one].append(scores(told, kinds[test], first + len(left[0]), len(left[1]), seed))
            print(one, other, flush=True)
    outside = []
    for name in names:
        setting = chosen(inside[name])
        test, left = np.flatnonzero((kinds != name) & (fold == 0)), np.flatnonzero(kinds == name)
        known = np.flatnonzero((kinds != name) & (fold > 0))
        told = Told(values, kinds, patients, known, np.concatenate([test, left]))
        found = scores(told, kinds[test], len(test), len(left), seed)
        outside.append({kind: counts[[-1, setting]] for kind, counts in found.items()})
        alone, together = (outside[-1][WHOLE, -1][:, 0] / len(left)).tolist()
        keep({
            "what": "together by type", "seed": seed, "left out": name, "setting": (*SETTINGS, ())[setting],
            "alone": round(alone, 4), "together": round(together, 4),
        })  # fmt: skip
    strange, known = shares(outside, 0), shares(outside, 2)
    for kind in outside[0]:
        row = {"what": "together", "seed": seed, "samples": kind[0], "share": kind[1]}
        for name, part in (("unknown", strange), ("false", known)):
            if kind in part:
                row |= {
                    f"{name} alone": round(float(part[kind][0]), 4),
                    f"{name} together": round(float(part[kind][1]), 4),
                }
        keep(row)
    everyone = [one for own in inside.values() for one in own]
    setting = chosen(everyone)
    keep({"what": "together, chosen by all types", "seed": seed, "setting": (*SETTINGS, ())[setting]})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
