"""The command `histoscribe` and its verbs."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from histoscribe.cli import (
    align,
    benchmark,
    classify,
    compare,
    convert,
    convert_weights,
    demo,
    describe,
    doctor,
    fetch,
    generate,
    impute,
    info,
    predict,
    programmes,
    sample,
    train,
    view,
)
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
for one in (
    demo.demo, sample.sample, info.info, view.view, convert.convert, predict.predict, impute.impute,
    generate.generate, programmes.programmes, classify.classify, align.align, describe.describe,
    compare.compare, fetch.fetch, doctor.doctor, convert_weights.convert_weights,
):  # fmt: skip
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
