"""The command `histoscribe` and its verbs."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from histoscribe.cli import benchmark, train
from histoscribe.cli.running import verb


class Shell(TyperGroup):
    """A group of verbs that keeps the command line as it was typed, for what gets written."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Parse the command line."""
        typed = ["histoscribe", *args]
        context = super().make_context(info_name, args, *rest, **extra)
        context.obj = typed
        return context


app = typer.Typer(
    cls=Shell,
    name="histoscribe",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train.app, name="train")
app.add_typer(benchmark.app, name="benchmark")
for name in (
    "demo", "sample", "info", "view", "convert", "predict", "impute", "generate", "programmes", "classify",
    "align", "describe", "compare", "fetch", "doctor", "convert_weights",
):  # fmt: skip
    app.command()(verb(getattr(import_module(f"histoscribe.cli.{name}"), name)))


def _print_version(wanted: bool) -> None:
    if wanted:
        from histoscribe import __version__

        typer.echo(f"histoscribe {__version__}")
        raise typer.Exit


@app.callback()
def histoscribe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read a tissue slide and write down its genes.

    Start with [bold]histoscribe demo[/bold]. Every verb has its own --help.
    """
