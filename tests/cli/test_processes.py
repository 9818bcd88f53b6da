"""What only a process of its own can show: speed, signals, limits, a clean standard output, no Qt."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest

HELP_SECONDS = 0.6
COMMAND = (sys.executable, "-m", "histoscribe")


def run(*words: object, **options) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, **options)


def test_help_is_quick():
    seconds: list[float] = []
    while len(seconds) < 5 and min(seconds, default=HELP_SECONDS) >= HELP_SECONDS:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < HELP_SECONDS


def test_help_loads_nothing_heavy():
    code = "import sys, histoscribe.cli.app; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "torch",
        "anndata",
        "pandas",
        "scipy",
        "squidpy",
        "zarr",
        "matplotlib",
        "sklearn",
        "dask",
        "napari",
    }
    assert heavy.isdisjoint(loaded)


def test_version():
    shown = run("--version")
    assert shown.returncode == 0
    assert shown.stdout.startswith("histoscribe ")


def test_a_typing_mistake_is_two_and_says_so():
    for words in (("predicts",), ("predict",), ("train", "predictor", "--epochs", "few")):
        shown = run(*words)
        assert shown.returncode == 2
        assert shown.stdout == ""
        assert shown.stderr.strip()


@pytest.mark.slow
def test_json_is_all_there_is_on_standard_output(shell, cohort, model, tmp_path, capfd, monkeypatch):
    """Also where a library writes past Python, and with every warning on."""
    predicted, report = tmp_path / "p.h5ad", tmp_path / "r.html"
    train = ("train", "predictor", cohort, "--epochs", 1, "--encoder", "builtin")
    verbs = {
        "train": (*train, "--out", tmp_path / "m"),
        "predict": ("predict", model, cohort, "--section", "S3", "--out", predicted),
        "compare": ("compare", cohort, predicted, "--section", "S3", "--out", report),
        "cohort": ("info", cohort),
        "section": ("info", predicted),
        "model": ("info", model),
        "slide": ("info", cohort.parent / "S1.tif"),
        "doctor": ("doctor",),
    }
    monkeypatch.setenv("HISTOSCRIBE_DEBUG", "1")
    shown = {name: shell(*words, "--json") for name, words in verbs.items()}
    assert {name: result.exit_code for name, result in shown.items()} == dict.fromkeys(verbs, 0)
    assert capfd.readouterr().out == ""
    documents = {name: json.loads(result.stdout) for name, result in shown.items()}
    assert all(isinstance(document, dict) for document in documents.values())
    assert documents["model"]["genes"] == 12
    assert documents["predict"]["spots"] == 81
    assert len(documents["cohort"]["sections"]) == 3
    asked = {"mean_pearson", "median_pearson", "genes", "spots", "split", "panel", "target"}
    assert asked <= documents["compare"].keys()
    assert documents["compare"]["genes"] == len(documents["compare"]["per_gene"]) == 12
    assert str(predicted) in documents["section"]["command"]


@pytest.mark.slow
def test_json_of_a_whole_process(cohort):
    shown = run("info", cohort, "--json")
    assert shown.returncode == 0
    assert len(json.loads(shown.stdout)["sections"]) == 3


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(cohort, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    words = ("train", "predictor", cohort, "--epochs", 100_000, "--out", out / "model")
    job = subprocess.Popen(
        [*COMMAND, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert job.stderr is not None
    told: list[str] = []
    for line in iter(job.stderr.readline, ""):
        told.append(line)
        if line.startswith(("inner validation", "training")):
            break
    time.sleep(0.5)
    job.send_signal(signal.SIGINT)
    stderr = job.stderr.read()
    assert job.wait(timeout=120) == 2, (told, stderr)
    assert job.stdout is not None
    assert job.stdout.read() == ""
    assert "stopped on request" in stderr
    assert "Traceback" not in stderr
    assert list(out.iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_takes_no_more(cohort, model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    words = ("predict", model, cohort, "--section", "S3", "--out", out / "p.h5ad")
    shown = run(*words, preexec_fn=limit)
    assert shown.returncode == 2, shown.stderr
    assert "cannot write" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert list(out.iterdir()) == []


BLOCKED = """
    import sys
    from importlib.abc import MetaPathFinder

    SCREEN = {"napari", "qtpy", "PySide6", "PyQt6", "magicgui", "superqt", "vispy"}

    class NoScreen(MetaPathFinder):
        def find_spec(self, fullname, path, target=None):
            if fullname.partition(".")[0] in SCREEN:
                raise ImportError(f"{fullname} is blocked")

    sys.meta_path.insert(0, NoScreen())
"""


def blocked(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in which nothing of napari or Qt can be imported."""
    command = [sys.executable, "-c", textwrap.dedent(BLOCKED) + textwrap.dedent(code), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_every_module_of_the_core_imports_without_a_screen():
    shown = blocked("""
        import importlib, pkgutil, histoscribe
        found = pkgutil.walk_packages(histoscribe.__path__, "histoscribe.", onerror=lambda name: None)
        names = [module.name for module in found]
        core = [n for n in names if not n.startswith("histoscribe.widgets") and n != "histoscribe.__main__"]
        for name in core:
            importlib.import_module(name)
        print(len(core))
    """)
    assert shown.returncode == 0, shown.stderr
    assert int(shown.stdout) > 40


@pytest.mark.slow
def test_the_main_job_runs_without_a_screen(cohort, tmp_path):
    model, predicted, report = tmp_path / "m", tmp_path / "p.h5ad", tmp_path / "r.html"
    verbs = (
        ("train", "predictor", cohort, "--exclude", "S3", "--epochs", 1, "--panel-size", 5, "--out", model),
        ("predict", model, cohort, "--section", "S3", "--out", predicted),
        ("compare", cohort, predicted, "--section", "S3", "--out", report),
        ("view", predicted),
    )
    code = """
        import json
        from typer.testing import CliRunner
        from histoscribe.cli.app import app
        results = [CliRunner().invoke(app, words) for words in json.loads(sys.argv[1])]
        print(*(result.exit_code for result in results))
        print(results[-1].stderr)
    """
    shown = blocked(code, json.dumps([[str(word) for word in words] for words in verbs]))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[0] == "0 0 0 2"
    assert "napari" in shown.stdout
    assert report.stat().st_size > 1000


@pytest.mark.parametrize(
    "words", [("--help",), ("info", "--help"), ("info", "BULK"), ("info", "BULK", "--json")]
)
def test_a_reader_that_has_seen_enough_ends_it_well(words, tmp_path):
    table = tmp_path / "bulk.csv"
    table.write_text("sample," + ",".join(f"GENE{n}A" for n in range(9)) + "\ns1" + ",4" * 9 + "\n")
    command = [*COMMAND, *(str(table) if word == "BULK" else word for word in words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert "fault of ours" not in said


TWICE = """
    import sys
    from histoscribe.cli import main
    table = sys.argv[1]
    for more in ([], ["--json"]):
        sys.argv = ["histoscribe", "info", table, *more]
        try:
            main()
        except SystemExit as end:
            assert not end.code
        for stream in (sys.stdout, sys.stderr):
            print("ENDED", file=stream, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_console_of_few_letters_shows_what_it_can(encoding, tmp_path):
    """µ, × and → have no place in ASCII, → none in Latin-1."""
    table = tmp_path / "bulk.csv"
    table.write_text("gene,größe,b\n1-Mar,1,2\nTP53,3,4\nKRT5,5,6\n", encoding="utf-8")
    settings = {"PYTHONIOENCODING": encoding, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", textwrap.dedent(TWICE), str(table)]
    shown = subprocess.run(command, capture_output=True, env=os.environ | settings, check=False)
    assert shown.returncode == 0, shown.stderr
    told, as_json, _ = zip(shown.stdout.split(b"ENDED"), shown.stderr.split(b"ENDED"), strict=True)
    for form in (told, as_json):
        assert b"1-Mar" in b"".join(form)
        assert b"MARCH1" in b"".join(form)


@pytest.mark.slow
def test_nobody_s_home(tmp_path):
    table = tmp_path / "bulk.csv"
    table.write_text("gene,a,b\nTP53,3,4\nKRT5,5,6\n")
    bare = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    assert run("info", table, env=bare).returncode == 0
    assert run("info", table, env=bare | {"HOME": "/nonexistent"}).returncode == 0
    assert run("info", "her2st-breast", env=bare | {"HOME": "/nonexistent"}).returncode == 0
