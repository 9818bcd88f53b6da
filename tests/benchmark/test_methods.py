"""The registry of methods: what is known, what others add, and when kept scores are stale."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from histoscribe.benchmark import methods
from histoscribe.benchmark.methods import Method, chosen_methods, code_digest, methods_of
from histoscribe.errors import SettingError

TASKS = [
    "predictor",
    *(f"imputer {task}" for task in ("random", "low", "panels", "classes", "survival", "spots")),
    *(f"generator {bed}" for bed in ("semi-synthetic", "colorectal", "components")),
]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_methods_and_most_have_ours_last(task: str):
    names = list(methods_of(task))
    assert names
    assert names[-1] == "histoscribe" or task == "imputer survival"
    assert all(method.code == method.code for method in methods_of(task).values())


def test_chosen_methods_keep_their_order_and_unknown_ones_are_named():
    assert [one.name for one in chosen_methods("predictor", ["ridge", "mean", "ridge"])] == ["ridge", "mean"]
    assert all(one.default for one in chosen_methods("predictor", None))
    with pytest.raises(SettingError, match=r"no method is called 'magic'.*gene mean, .*histoscribe"):
        chosen_methods("imputer panels", ["gene mean", "magic"])


def _entry(monkeypatch: pytest.MonkeyPatch, loaded: object) -> None:
    class Found(EntryPoint):
        def load(self) -> object:
            if isinstance(loaded, Exception):
                raise loaded
            return loaded

    found = [Found("theirs", "theirs:METHOD", methods.GROUP)]
    monkeypatch.setattr(methods, "entry_points", lambda group: found if group == methods.GROUP else [])


def test_methods_of_other_packages_are_added_and_replace_none(monkeypatch: pytest.MonkeyPatch):
    theirs = [Method("theirs", ("predictor",), print), Method("ridge", ("predictor",), print)]
    _entry(monkeypatch, theirs)
    with pytest.warns(UserWarning, match="second method called 'ridge'"):
        found = methods_of("predictor")
    assert found["theirs"] is theirs[0]
    assert found["ridge"].learn is not print
    assert list(found)[-1] == "histoscribe"


def test_a_package_that_does_not_load_leaves_ours_alone(monkeypatch: pytest.MonkeyPatch):
    _entry(monkeypatch, ImportError("no such thing"))
    with pytest.warns(UserWarning, match="'theirs' cannot be loaded: no such thing"):
        assert "ridge" in methods_of("predictor")


def test_the_digest_of_code_is_blind_to_words_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "made_methods").mkdir()
    (tmp_path / "made_methods" / "__init__.py").write_text("")
    inner = tmp_path / "made_methods" / "inner.py"

    def digest(text: str) -> str:
        inner.write_text(text)
        code_digest.cache_clear()
        return code_digest(("made_methods",))

    first = digest('def f(x):\n    """Doubles."""\n    return 2 * x\n')
    assert digest('def f(x):\n    """Doubles it."""\n    # as it says\n    return (2 * x)\n') == first
    assert digest('def f(x):\n    """Doubles."""\n    return 3 * x\n') != first
