"""The shell: one file per verb."""

import io
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the verb that the command line names; the entry point of `histoscribe`."""
    # Threads that wait must sleep: where cores are shared, spinning ones make training crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "OMP_NUM_THREADS" in os.environ:  # numba would set PyTorch's number to that of all cores
        os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
    from rich.console import Console

    from histoscribe.cli.app import app
    from histoscribe.cli.running import nobody_reads

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that knows no µ shows ?
    Console.on_broken_pipe = lambda _: nobody_reads()  # type: ignore[assignment,method-assign]
    app()
