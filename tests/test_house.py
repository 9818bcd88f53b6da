"""The structure that a reader may rely on: no circles, short modules, one meaning a word."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "histoscribe"
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST_MODULE = 500
MOST_FILES = 14


def _module(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, known: set[str]) -> set[str]:
    """The modules of ours that a file imports, for types alone or late too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found & known if not name.endswith("__init__")}


def test_no_two_files_import_each_other() -> None:
    paths = {_module(path): path for path in FILES if path.name != "__init__.py"}
    arrows = {name: _imports(path, set(paths)) - {name} for name, path in paths.items()}
    TopologicalSorter(arrows).prepare()  # raises CycleError with the circle


def test_modules_are_short_and_folders_hold_about_a_dozen() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not [path for path, number in lines.items() if number > LONGEST_MODULE]
    folders: dict[Path, int] = defaultdict(int)
    for path in FILES:
        folders[path.parent] += path.name != "__init__.py"
    full = {folder.name: number for folder, number in folders.items() if number > MOST_FILES}
    assert full.keys() <= {"cli"}


def test_a_public_type_has_a_name_of_its_own() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(_module(path))
    assert not {name: places for name, places in homes.items() if len(places) > 1}
