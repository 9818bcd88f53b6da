"""What a package index shows: the README with links and pictures that lead to the published repository.

The address is HISTOSCRIBE_HOME, or what a forge's runner says of itself. A build that knows none leaves the
pictures out and names pages without linking them, so that nothing points at nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Fills in `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set what depends on where the repository is published."""
        home, release = address(), os.environ.get("GITHUB_REF_NAME", "HEAD")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": published(text, home, release)}
        metadata["urls"] = (
            {}
            if home is None
            else {
                "Homepage": home,
                "Documentation": f"{home}/blob/{release}/docs/index.md",
                "Changelog": f"{home}/blob/{release}/CHANGELOG.md",
                "Issues": f"{home}/issues",
            }
        )


def address() -> str | None:
    """Where the repository is published, without a slash at its end; None where nothing says so."""
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    home = os.environ.get("HISTOSCRIBE_HOME") or (f"{server}/{name}" if server and name else "")
    return home.rstrip("/") or None


def published(text: str, home: str | None, release: str) -> str:
    """The README with absolute addresses, or without pictures and relative links where there is none."""

    def replace(found: re.Match[str]) -> str:
        picture, words, path = found.groups()
        if home is None:
            return "" if picture else words
        return f"{picture}[{words}]({home}/{'raw' if picture else 'blob'}/{release}/{path})"

    return LINK.sub(replace, text).lstrip()
