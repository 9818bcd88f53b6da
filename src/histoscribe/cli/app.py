"""The command `histoscribe` and its verbs."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from histoscribe.cli import benchmark, train
from histoscribe.cli.align import align
from histoscribe.cli.classify import classify
from histoscribe.cli.compare import compare
from histoscribe.cli.console import CALL, Call
from histoscribe.cli.convert import convert
from histoscribe.cli.convert_weights import convert_weights
from histoscribe.cli.demo import demo
from histoscribe.cli.describe import describe
from histoscribe.cli.doctor import doctor
from histoscribe.cli.fetch import fetch
from histoscribe.cli.generate import generate
from histoscribe.cli.impute import impute
from histoscribe.cli.info import info
from histoscribe.cli.predict import predict
from histoscribe.cli.programmes import programmes
from histoscribe.cli.running import verb
from histoscribe.cli.sample import sample
from histoscribe.cli.view import view


class Shell(TyperGroup):
    """A group of verbs that keeps the command line as it was typed, for what gets written."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Parse the command line."""
        CALL.set(Call(["histoscribe", *args]))
        return super().make_context(info_name, args, *rest, **extra)


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
for one in (
    *(demo, sample, info, view, convert, predict, impute, generate, programmes, classify, align),
    *(describe, compare, fetch, doctor, convert_weights),
):
    app.command()(verb(one))


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
