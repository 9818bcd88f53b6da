"""Put into the site what lies in docs/: the methods and measurements, as far as they are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PLACEHOLDER = "<!-- measurements -->"


def on_config(config: Any) -> Any:
    """Add the pages that the navigation does not name: methods, then benchmarks."""
    named = set(re.findall(r"[\w/.-]+\.md", str(config.nav)))
    methods = [path for path in sorted(DOCS.glob("*.md")) if path.name not in named]
    benchmarks = sorted((DOCS / "benchmarks").glob("*.md"))
    groups = (("How it works", methods), ("Benchmarks", benchmarks))
    added = [
        {title: [{heading(page): str(page.relative_to(DOCS))} for page in pages]}
        for title, pages in groups
        if pages
    ]
    config.nav = [*config.nav[:-1], *added, config.nav[-1]]
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """List the benchmark pages where a page asks for them."""
    rows = [
        f"- [{heading(path)}](benchmarks/{path.name})" for path in sorted((DOCS / "benchmarks").glob("*.md"))
    ]
    return markdown.replace(PLACEHOLDER, "\n".join(rows))


def heading(path: Path) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return found[1].strip() if found else path.stem
