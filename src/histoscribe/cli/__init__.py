"""The shell: one file per verb."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the verb that the command line names; the entry point of `histoscribe`."""
    from histoscribe.cli.app import app

    app()
