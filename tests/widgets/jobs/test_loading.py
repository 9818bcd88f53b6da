"""Loading libraries: they are there afterwards, the collector is as it was, and the window hardly waits."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from histoscribe.widgets.jobs.loading import lent, load_libraries


@pytest.fixture(autouse=True)
def two_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that says whether the collector works, one that breaks."""
    (tmp_path / "loaded_for_test.py").write_text("import gc\nCOLLECTED = gc.isenabled()\n")
    (tmp_path / "breaks_for_test.py").write_text("raise ImportError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("loaded_for_test", None)
    gc.enable()
    gc.unfreeze()


def test_the_collector_rests_meanwhile_and_works_again() -> None:
    load_libraries("loaded_for_test")
    assert not sys.modules["loaded_for_test"].COLLECTED
    assert gc.isenabled()


def test_a_collector_that_rested_before_rests_on() -> None:
    gc.disable()
    load_libraries("loaded_for_test")
    assert not gc.isenabled()


def test_what_cannot_be_imported_is_told_and_the_collector_works_again() -> None:
    with pytest.raises(ImportError, match="broken"):
        load_libraries("breaks_for_test")
    assert gc.isenabled()


def test_the_collector_looks_away_until_the_job_has_ended() -> None:
    with lent():
        load_libraries("loaded_for_test")
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_what_the_host_has_frozen_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    with lent():
        load_libraries("loaded_for_test")
    assert gc.get_freeze_count() > 0.9 * frozen  # some of it has gone by itself


def test_the_last_of_several_jobs_gives_the_turns_back() -> None:
    before = sys.getswitchinterval()
    with lent():
        with lent():
            assert sys.getswitchinterval() < before
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_turns_that_somebody_else_has_set_meanwhile_are_kept() -> None:
    before = sys.getswitchinterval()
    try:
        with lent():
            sys.setswitchinterval(0.01)
        assert sys.getswitchinterval() == pytest.approx(0.01)
    finally:
        sys.setswitchinterval(before)


def test_no_library_is_mapped_that_was_not_asked_for() -> None:
    words = """
import sys
from histoscribe.widgets.jobs.loading import load_libraries
load_libraries("json.tool")
if sys.platform == "linux":
    mapped = open("/proc/self/maps").read()
    assert "libtorch" not in mapped and "libllvmlite" not in mapped
"""
    subprocess.run([sys.executable, "-c", words], check=True)


def test_what_is_there_already_costs_nothing() -> None:
    load_libraries("gc", "sys")
    assert gc.get_freeze_count() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="another linker")
def test_pytorch_and_llvm_are_mapped_before_an_import_would_hold_the_lock() -> None:
    pytest.importorskip("torch")
    words = """
from importlib import import_module
from histoscribe.widgets.jobs import loading
def look_first(name):
    mapped = open("/proc/self/maps").read()
    print(name, "libtorch" in mapped and "libllvmlite" in mapped)
    return import_module(name)
loading.import_module = look_first
loading.load_libraries("torch", "numba")
"""
    ran = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert ran.stdout.split()[:4] == ["torch", "True", "numba", "True"]
