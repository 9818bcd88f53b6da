"""The shell: one file per verb."""

from __future__ import annotations

import os

__all__ = ["main"]


def main() -> None:
    """Run the verb that the command line names; the entry point of `histoscribe`."""
    # Threads that wait must sleep: where cores are shared, spinning ones make training crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "OMP_NUM_THREADS" in os.environ:  # numba would set PyTorch's number to that of all cores
        os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
    from histoscribe.cli.app import app

    app()
