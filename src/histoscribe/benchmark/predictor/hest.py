"""HEST's benchmark as it lies on disk: its tasks, its splits by its own protocol, its sections for ours."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.arrays import Floats, Pixels, Wide
from histoscribe.benchmark.engine import Benchmark, mean_over
from histoscribe.benchmark.ledger import Score
from histoscribe.benchmark.methods import Method, methods_of
from histoscribe.benchmark.predictor.benchmark import records_of, section_digest
from histoscribe.benchmark.tables import TableLayout
from histoscribe.bounds.content import SMALL_TEXT_BYTES, read_bytes
from histoscribe.bounds.hdf5 import opened_hdf5
from histoscribe.bulk.table import dense
from histoscribe.errors import SectionError, SettingError, told_as
from histoscribe.evaluation.measures import pearson_per_gene
from histoscribe.features import TileEncoder
from histoscribe.predictor import EncodedSection
from histoscribe.progress import Progress
from histoscribe.section.lattice import neighbour_distance
from histoscribe.section.model import flip
from histoscribe.section.readers.h5ad import read_h5ad
from histoscribe.section.readers.hest import archive_entry
from histoscribe.section.table import unique_genes
from histoscribe.slide.pyramid import Level
from histoscribe.slide.resample import Window, read_window

PATCH_MPP = 0.5
"""µm per pixel that the benchmark's patches were cut at."""
PITCH_UM = 100.0
"""Distance of neighbouring spots in its tasks: Visium, and Xenium pooled."""
_GENES, _CHUNK = "var_50genes.json", 256
_MOST_ENLARGED = 2.5
_PROTOCOL = (
    "log1p of raw counts; ridge without intercept, alpha 100 / (inputs · genes), lsqr; r per gene over all "
    "test spots together, mean over genes, then folds. Its genes were chosen with all samples, test ones too."
)


@dataclass(frozen=True)
class Task:
    """One task of the benchmark."""

    name: str
    genes: tuple[str, ...]
    """Those that are told, in their order."""
    files: Mapping[str, tuple[Path, Path]]
    """Patches and expression of each sample."""
    splits: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """Samples of training and of test, fold by fold."""
    patients: Mapping[str, str]
    """Whose each sample is: by the archive's table beside it, else one patient for all of a test split."""


@dataclass(frozen=True, eq=False)
class OfficialFold:
    """One split with everything concatenated."""

    inputs: Floats
    asked: Floats
    """`inputs` and `asked`: embeddings of training and test spots, shape (spots, d)."""
    measured: Wide
    truth: Wide
    """`measured` and `truth`: log1p of their counts, shape (spots, genes)."""


def holds_tasks(root: Path) -> bool:
    """Whether a folder is the benchmark, or one task of it."""
    return root.is_dir() and bool(_folders(root))


def hest_tasks(root: Path) -> list[Task]:
    """Read what a benchmark's folder states of its tasks; no sample is opened.

    Raises `SectionError` if a split or a list of genes is missing or damaged, or names files elsewhere.
    """
    return [_task(folder) for folder in _folders(root)]


def read_sample(task: Task, name: str, encoder: TileEncoder, progress: Progress) -> EncodedSection:
    """Describe a sample's patches, join them with its counts by barcode, and lay them on its lattice.

    What is brought to the encoder's size is the middle of a patch that the encoder wants to see, or all of it
    where it wants to see more. Raises `SectionError` if a file is damaged or the two do not join,
    `SettingError` if patches would have to be enlarged beyond all likeness.
    """
    patches, expression = task.files[name]
    with opened_hdf5(patches) as file:
        key = next((key for key in ("barcodes", "barcode") if key in file), None)
        images = file.get("img")
        if key is None or images is None or images.ndim != 4 or images.shape[1] != images.shape[2]:
            raise SectionError("holds no patches with barcodes", where=patches, remedy="copy it again")
        spots = [each.decode() if isinstance(each, bytes) else str(each) for each in file[key][:].ravel()]
        features = []
        for start in range(0, len(images), _CHUNK):
            progress.report(f"describing {name}", start, len(images))
            features.append(encoder.encode(_at_scale(images[start : start + _CHUNK], encoder)))
    table = read_h5ad(expression)
    known = {str(spot): row for row, spot in enumerate(table.obs_names)}
    rows = np.array([known.get(spot, -1) for spot in spots], dtype=np.intp)
    if (rows < 0).any() or len(known) < table.n_obs or len(rows) != sum(map(len, features)):
        remedy = "use patches and expression of the same sample"
        raise SectionError("patches and expression do not join by barcode", where=patches, remedy=remedy)
    centres = flip(table.obsm["spatial"])[rows]
    centres_um = centres * (PITCH_UM / neighbour_distance(centres))
    genes, _ = unique_genes([str(gene) for gene in table.var_names])
    counts = table.X[rows]
    return EncodedSection(
        name, task.patients[name], np.concatenate(features), centres_um, PITCH_UM, counts, genes, tuple(spots)
    )


def official_benchmark(task: Task, sections: Mapping[str, EncodedSection]) -> Benchmark:
    """Score a task's own splits as its owners do."""

    def open_fold(train: Sequence[str], test: Sequence[str]) -> OfficialFold:
        inputs, asked = (np.concatenate([sections[name].features for name in part]) for part in (train, test))
        return OfficialFold(inputs, asked, *(_expression(task, sections, part) for part in (train, test)))

    data = list(map(section_digest, sections.values()))
    return Benchmark(
        kind="predictor hest",
        folds={str(number): partial(open_fold, *split) for number, split in enumerate(task.splits)},
        methods=list(methods_of("predictor hest").values()),
        score=partial(_score, task.name),
        over="sections",
        about={"task": task.name, "splits": task.splits, "genes": task.genes, "data": data},
        code=(__name__, "histoscribe.evaluation.measures"),
        settings={"protocol": _PROTOCOL},
        layout=TableLayout(headline="pearson", label="r", title="HEST's benchmark", lead=_PROTOCOL),
    )


def counted(section: EncodedSection) -> EncodedSection:
    """The spots that have counts, which alone have a clean target."""
    rows = np.flatnonzero(section.depth > 0)
    return section if len(rows) == len(section.features) else section.part(rows, section.name)


def over_tasks(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The outcomes of all tasks as one, with the mean over tasks under the name `all tasks`."""
    whole: dict[str, Any] = {"settings": {}, "records": [], "paired": []}
    for outcome in outcomes:
        whole["settings"] |= {key: one for key, one in outcome["settings"].items() if key != "seconds"}
        whole["records"] += outcome["records"]
        whole["paired"] += outcome["paired"]
    means: dict[tuple[str, str, str], list[float]] = {}
    for one in whole["records"]:
        if one["fold"] == "all":
            means.setdefault((one["method"], one["split"], one["measure"]), []).append(one["value"])
    for (method, split, measure), values in means.items():
        if len(values) > 1:
            score = Score(method, "all tasks", split, "all", measure, *mean_over("sections", values))
            whole["records"].append(score.as_json())
    return whole


def _folders(root: Path) -> list[Path]:
    if (root / "splits").is_dir():
        return [root]
    return sorted(path.parent for path in root.glob("*/splits") if (path.parent / _GENES).is_file())


def _task(folder: Path) -> Task:
    where, wrong, again = folder / _GENES, (ValueError, KeyError, TypeError), "copy it again"
    with told_as(SectionError, "is no list of genes", *wrong, where=where, remedy=again, reason=False):
        genes = json.loads(read_bytes(where, SMALL_TEXT_BYTES).decode("utf-8-sig"))["genes"]
        genes = tuple(str(gene) for gene in genes)
    files: dict[str, tuple[Path, Path]] = {}
    splits: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    while (folder / "splits" / f"train_{len(splits)}.csv").is_file():
        train, test = (_split(folder, f"{part}_{len(splits)}.csv", files) for part in ("train", "test"))
        if shared := set(train) & set(test):
            where = folder / "splits" / f"test_{len(splits)}.csv"
            raise SectionError(f"{', '.join(sorted(shared))} is in training and in test", where=where)
        splits.append((train, test))
    if not splits:
        remedy = "copy train_0.csv and test_0.csv"
        raise SectionError("holds no split", where=folder / "splits", remedy=remedy)
    archive = next((place for place in (folder, folder.parent) if list(place.glob("HEST_v*.csv"))), None)
    patients = {}
    for name in files:
        together = next((k for k, (_, test) in enumerate(splits) if name in test), "never tested")
        stated = archive_entry(archive, name).patient if archive else ""
        patients[name] = stated or f"{folder.name}, tested in fold {together}"
    return Task(folder.name, genes, files, tuple(splits), patients)


def _split(folder: Path, name: str, files: dict[str, tuple[Path, Path]]) -> tuple[str, ...]:
    where = folder / "splits" / name
    rows = list(csv.DictReader(io.StringIO(read_bytes(where).decode("utf-8-sig"))))
    names = []
    for row in rows:
        try:
            sample, places = row["sample_id"], (folder / row["patches_path"], folder / row["expr_path"])
        except (KeyError, TypeError) as error:
            raise SectionError("is no split", where=where, remedy="copy it again") from error
        for place in places:
            if not place.resolve().is_relative_to(folder.resolve()):
                raise SectionError(f"names a file outside its task ({place})", where=where)
        files[sample] = places
        names.append(sample)
    if not names:
        raise SectionError("names no sample", where=where, remedy="copy it again")
    return tuple(names)


def _at_scale(images: Pixels, encoder: TileEncoder) -> Pixels:
    """Patches as crops of the encoder's size."""
    have, side = images.shape[1], round(encoder.crop_um / encoder.mpp)
    span = min(have, encoder.crop_um / PATCH_MPP)
    if encoder.crop_um > _MOST_ENLARGED * have * PATCH_MPP:
        problem = f"this encoder wants to see {encoder.crop_um:g} µm, the patches show {have * PATCH_MPP:g}"
        remedy = "choose one that sees less, or train on its slides"
        raise SettingError(problem, where=encoder.name, remedy=remedy)
    window = Window((have - span) / 2, (have - span) / 2, span, span)
    return np.stack([read_window(Level(image, 1.0), window, side / span) for image in images])


def _expression(task: Task, sections: Mapping[str, EncodedSection], names: Sequence[str]) -> Wide:
    found = []
    for name in names:
        place = {gene: column for column, gene in enumerate(sections[name].genes)}
        if missing := [gene for gene in task.genes if gene not in place]:
            remedy = "copy its expression again"
            raise SettingError(f"{name} has no {missing[0]}", where=task.name, remedy=remedy)
        columns = [place[gene] for gene in task.genes]
        found.append(np.log1p(dense(sections[name].counts[:, columns]).astype(np.float64)))
    return np.concatenate(found)


def _score(task: str, fold_name: str, fold: OfficialFold, method: Method) -> Iterator[Score]:
    each = pearson_per_gene(fold.truth, method.learn(fold, 0))
    yield from records_of({"pearson": each}, method.name, task, "official", fold_name)
