"""The guide: it builds without broken links or anything from elsewhere, and its commands are ours."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[tuple[str, str]]:
    """Every line of a shell block that calls us: page and command."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line) for line in lines if line.startswith("histoscribe ")]
    return found


@pytest.mark.parametrize(("page", "line"), commands(), ids=str)
def test_every_command_is_one_we_have(page: str, line: str) -> None:
    import click
    import typer

    from histoscribe.cli.app import app

    words = shlex.split(line.partition(" #")[0].replace("...", ""))[1:]
    command: click.Command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"{page}: {line}"
        command = command.commands[name]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    asked = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert asked <= known, f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_of_a_table_has_the_cells_of_its_heading(page: Path) -> None:
    width = 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (width and cells) or cells == width, f"{page.name}, line {number}: {line}"
        width = cells


def test_a_command_of_the_guide_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "histoscribe", "info", "sample_data/P1A"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert "P1A" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="mkdocs-material is not installed")
def test_the_site_builds_with_broken_links_as_errors(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    pulled = r"<(?:script|img|iframe|source|link rel=.?(?:stylesheet|preload|icon))[^>]+(?:src|href)="
    outside = re.compile(pulled + r"[\"']?(?:https?:)?//")
    for page in (tmp_path / "site").rglob("*.html"):
        assert not outside.search(page.read_text(encoding="utf-8")), page
