"""HEST's benchmark as it lies on disk: its own protocol to the digit, ours beside it, its traps."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from typer.testing import CliRunner

from histoscribe.benchmark import run_benchmark
from histoscribe.benchmark.predictor import GenePanel, predictor_benchmark
from histoscribe.benchmark.predictor.hest import (
    Task,
    counted,
    hest_tasks,
    holds_tasks,
    official_benchmark,
    over_tasks,
    read_sample,
)
from histoscribe.errors import SectionError, SettingError
from histoscribe.predictor import EncodedSection
from histoscribe.progress import Progress

GENES = [f"G{number}" for number in range(6)]


class Moments:
    """Means of parts of a crop, and their squares: an encoder whose numbers the reference knows."""

    name, dimension, crop_um, mpp = "moments@1", 24, 112.0, 0.5

    def encode(self, crops: np.ndarray) -> np.ndarray:
        parts = crops.reshape(len(crops), 2, 112, 2, 112, 3).astype(np.float64) / 255
        means = parts.mean(axis=(2, 4))
        told = np.concatenate([means, 1 - means**2], axis=-1)
        return told.reshape(len(crops), -1).astype(np.float32)


def write_task(folder: Path, sides: dict[str, int], seed: int = 0) -> Path:
    """A task of samples with patches of these sides; each is tested once, two at a time."""
    rng = np.random.default_rng(seed)
    for name in ("splits", "patches", "adata"):
        (folder / name).mkdir(parents=True)
    (folder / "var_50genes.json").write_text(json.dumps({"genes": GENES}))
    for number, (name, side) in enumerate(sides.items()):
        places = np.array([(line, column) for line in range(4) for column in range(5)])
        shade = rng.uniform(60, 200, len(places))
        images = rng.normal(shade[:, None, None, None], 20, (len(places), side, side, 3)).clip(0, 255)
        expected = np.exp(np.linspace(-1, 1, 8) * (shade[:, None] / 100 - 1) + 2)
        counts = rng.poisson(expected).astype(np.float32)
        spots = [f"{line:03d}x{column:03d}" for line, column in places]
        table = anndata.AnnData(csr_matrix(counts), obsm={"spatial": (places[:, ::-1] + 1) * 200.0})
        table.obs_names, table.var_names = spots, [*GENES[::-1], "X1", "X2"]
        table.write_h5ad(folder / "adata" / f"{name}.h5ad")
        order = rng.permutation(len(places))[:18]
        with h5py.File(folder / "patches" / f"{name}.h5", "w") as file:
            file["img"] = images[order].astype(np.uint8)
            file["coords"] = places[order] * 200
            file["barcode" if number % 2 else "barcodes"] = np.array(spots, dtype="S")[order][:, None]
    names = list(sides)
    for fold in range(len(names) // 2):
        tested = names[2 * fold : 2 * fold + 2]
        for part, held in (("train", [n for n in names if n not in tested]), ("test", tested)):
            rows = [
                {"sample_id": n, "patches_path": f"patches/{n}.h5", "expr_path": f"adata/{n}.h5ad"}
                for n in held
            ]
            frame = pd.DataFrame(rows)
            frame.to_csv(folder / "splits" / f"{part}_{fold}.csv", index=False, encoding="utf-8-sig")
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hest-bench")
    write_task(root / "IDC", {"TENX95": 224, "TENX99": 224, "NCBI783": 256, "NCBI785": 224})
    write_task(root / "HCC", {"NCBI642": 224, "NCBI643": 224, "A": 224, "B": 224}, seed=1)
    return root


def opened(task: Task) -> dict[str, EncodedSection]:
    return {name: read_sample(task, name, Moments(), Progress()) for name in task.files}


def reference(task: Task, reduced: int | None) -> list[float]:
    """Mean r of each fold, from the published formula, read from the files without our code."""
    from scipy.sparse.linalg import lsqr
    from scipy.stats import pearsonr

    found = []
    for train, test in task.splits:
        data = []
        for part in (train, test):
            told, asked = [], []
            for name in part:
                patches, expression = task.files[name]
                with h5py.File(patches) as file:
                    names = file["barcodes" if "barcodes" in file else "barcode"][:, 0].astype(str)
                    images = file["img"][:]
                spare = (images.shape[1] - 224) // 2
                images = images[:, spare : spare + 224, spare : spare + 224]
                told.append(Moments().encode(images).astype(np.float64))
                table = anndata.read_h5ad(expression)[names, list(task.genes)]
                asked.append(np.log1p(table.X.toarray().astype(np.float64)))
            data += [np.concatenate(told), np.concatenate(asked)]
        x, y, z, truth = data
        if reduced is not None:
            middle, spread = x.mean(axis=0), x.std(axis=0)
            x, z = (x - middle) / spread, (z - middle) / spread
            _, _, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
            axes = axes[: min(reduced, len(axes))]
            x, z = x @ axes.T, z @ axes.T
        alpha = 100 / (x.shape[1] * y.shape[1])
        weights = [
            lsqr(x, y[:, gene], damp=alpha**0.5, atol=1e-4, btol=1e-4, iter_lim=1000)[0]
            for gene in range(y.shape[1])
        ]
        exact = np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ y)
        by_gene = [pearsonr(truth[:, gene], z @ weights[gene])[0] for gene in range(y.shape[1])]
        near = [pearsonr(truth[:, gene], z @ exact[:, gene])[0] for gene in range(y.shape[1])]
        assert np.mean(by_gene) == pytest.approx(np.mean(near), abs=0.02)
        found.append(float(np.mean(by_gene)))
    return found


@pytest.mark.parametrize(("method", "reduced"), [("hest-ridge", None), ("hest-pca-ridge", 256)])
def test_its_own_protocol_is_its_formula(root: Path, method: str, reduced: int | None) -> None:
    task = next(task for task in hest_tasks(root) if task.name == "IDC")
    records = run_benchmark(official_benchmark(task, opened(task)))["records"]
    told = {one["fold"]: one["value"] for one in records if one["method"] == method}
    expected = reference(task, reduced)
    assert [told["0"], told["1"]] == pytest.approx(expected, abs=1e-6)
    assert told["all"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert told["all"] > 0.2


def test_ours_is_by_patient_per_section_on_the_clean_target(root: Path) -> None:
    task = hest_tasks(root)[0]
    sections = [counted(section) for section in opened(task).values()]
    assert len({section.patient for section in sections}) == 2
    panel = GenePanel(genes=task.genes)
    ours = predictor_benchmark(sections, dataset=task.name, split="patient", methods=["ridge"], panel=panel)
    outcome = over_tasks([run_benchmark(official_benchmark(task, opened(task))), run_benchmark(ours)])
    folds = {one["fold"] for one in outcome["records"] if one["method"] == "ridge"}
    assert folds == {*task.files, "all"}
    assert {one["split"] for one in outcome["records"]} == {"official", "patient"}
    assert "per 10,000" in outcome["settings"]["target"]
    assert "raw counts" in outcome["settings"]["protocol"]


def test_the_mean_over_tasks_is_that_of_their_means() -> None:
    def task(name: str, value: float) -> dict:
        one = {"method": "m", "dataset": name, "split": "official", "fold": "all", "measure": "pearson"}
        return {"settings": {}, "paired": [], "records": [{**one, "value": value, "low": 0.0, "high": 1.0}]}

    records = over_tasks([task("A", 0.2), task("B", 0.6)])["records"]
    (mean,) = [one["value"] for one in records if one["dataset"] == "all tasks"]
    assert mean == pytest.approx(0.4)


def test_the_archives_table_beside_it_says_whose_a_sample_is(root: Path) -> None:
    rows = [
        {"id": "TENX95", "dataset_title": "S", "patient": " A "},
        {"id": "TENX99", "dataset_title": "S", "patient": "a"},
    ]
    pd.DataFrame(rows).to_csv(root / "HEST_v1_1_0.csv", index=False, encoding="utf-8-sig")
    patients = next(task for task in hest_tasks(root) if task.name == "IDC").patients
    (root / "HEST_v1_1_0.csv").unlink()
    assert patients["TENX95"] == patients["TENX99"] == "S: a"
    assert patients["NCBI783"] == patients["NCBI785"] == "IDC, tested in fold 1"


def test_what_is_wrong_with_it_is_one_sentence(tmp_path: Path) -> None:
    assert not holds_tasks(tmp_path)
    folder = write_task(tmp_path / "IDC", {"A": 224, "B": 224, "C": 224, "D": 224})
    assert holds_tasks(folder)
    assert holds_tasks(tmp_path)
    (task,) = hest_tasks(tmp_path)
    wide = Moments()
    wide.crop_um = 512.0
    with pytest.raises(SettingError, match="wants to see 512 µm, the patches show 112"):
        read_sample(task, "A", wide, Progress())
    with h5py.File(folder / "patches" / "A.h5", "a") as file:
        file["barcodes"][0] = b"nobody"
    with pytest.raises(SectionError, match="do not join by barcode"):
        read_sample(task, "A", Moments(), Progress())
    split = folder / "splits" / "test_0.csv"
    split.write_text(split.read_text().replace("patches/A.h5", "../../A.h5"))
    with pytest.raises(SectionError, match="outside its task"):
        hest_tasks(tmp_path)
    (folder / "var_50genes.json").write_text("[]")
    with pytest.raises(SectionError, match="no list of genes"):
        hest_tasks(tmp_path)


def test_the_shell_prints_both_protocols_task_by_task(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import histoscribe.features
    from histoscribe.cli.app import app

    monkeypatch.setattr(histoscribe.features, "encoder_named", lambda *_, **__: Moments())
    words = ["benchmark", "predictor", "--data", str(root), "--methods", "ridge", "--json"]
    result = CliRunner().invoke(app, words, prog_name="histoscribe")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    means = {(one["dataset"], one["method"], one["split"]) for one in told["records"] if one["fold"] == "all"}
    ours, official = ("ridge", "patient"), [("hest-pca-ridge", "official"), ("hest-ridge", "official")]
    wanted = {(task, *one) for task in ("IDC", "HCC", "all tasks") for one in [ours, *official]}
    assert wanted <= means
    assert told["settings"]["encoder"] == "moments@1"
    folded = CliRunner().invoke(app, [*words, "--folds", "0"], prog_name="histoscribe")
    assert folded.exit_code == 2
    assert "folds and genes of its own" in folded.stderr
    nothing = CliRunner().invoke(app, ["benchmark", "predictor"], prog_name="histoscribe")
    assert nothing.exit_code == 2
