"""No sentence of ours names a verb, a flag, a panel or an extra that does not exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
import yaml

import histoscribe
from histoscribe.cli.app import app

ROOM = Path(histoscribe.__file__).parent
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    """Every text of the package that a user may see, with its place; what is filled in became …."""
    return [each for file in sorted(ROOM.rglob("*.py")) for each in sentences(file)]


def sentences(file: Path) -> Iterator[tuple[str, str]]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    parts = {id(each) for node in nodes if isinstance(node, ast.JoinedStr) for each in node.values}
    inner = parts | {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            told = [each.value if isinstance(each, ast.Constant) else "…" for each in node.values]
            yield f"{file.relative_to(ROOM)}:{node.lineno}", "".join(map(str, told))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield f"{file.relative_to(ROOM)}:{node.lineno}", node.value


def verbs(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for part, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, f"{name} {part}".strip())


KNOWN = dict(verbs(typer.main.get_command(app)))
FLAGS = {
    flag for one in KNOWN.values() for each in one.params for flag in (*each.opts, *each.secondary_opts)
} | {"--help", "--install-completion", "--show-completion"}


def test_every_flag_that_is_named_exists(texts: list[tuple[str, str]]) -> None:
    foreign = ("vips", "ulimit", "snakemake")
    missing = [
        f"{place}: {flag}"
        for place, text in texts
        if not any(word in text for word in foreign)
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)
        if flag not in FLAGS
    ]
    assert missing == []


def test_every_verb_that_is_named_exists(texts: list[tuple[str, str]]) -> None:
    first = {name.split()[0] for name in KNOWN if name}
    missing = [
        f"{place}: {text!r}"
        for place, text in texts
        for word in re.findall(r"(?:^|run |use |or |with |: |then )histoscribe ([a-z]+)", text)
        if word not in first | {"session"}  # what a session file calls itself
    ]
    assert missing == []


def test_every_extra_that_is_named_exists(texts: list[tuple[str, str]]) -> None:
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {
        extra
        for _, text in texts
        for found in re.findall(r"histoscribe\[([a-z,]+)\]", text)
        for extra in found.split(",")
    }
    assert named
    assert named <= set(extras)


def test_every_panel_that_is_named_exists(texts: list[tuple[str, str]]) -> None:
    manifest = yaml.safe_load((ROOM / "napari.yaml").read_text(encoding="utf-8"))
    titles = {each["display_name"] for each in manifest["contributions"]["widgets"]}
    named = {
        title
        for _, text in texts
        for title in re.findall(r"(?:in|open|from) the ((?:[A-Z][a-z]+ )+)panel", text)
    }
    assert named
    assert {title.strip() for title in named} <= titles


@pytest.mark.parametrize("name", sorted(name for name in KNOWN if name))
def test_every_verb_says_what_it_does(name: str) -> None:
    assert KNOWN[name].help or KNOWN[name].short_help or getattr(KNOWN[name], "commands", None)
