"""`histoscribe convert-weights`: an encoder's pickle as safetensors, read where it can do no harm."""

from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.console import answer, caution
from histoscribe.cli.options import AsJson
from histoscribe.cli.running import job


def convert_weights(
    file: Annotated[Path, typer.Argument(help="What the owners publish: .bin, .pt, .pth, .ckpt, .torch.")],
    encoder: Annotated[
        str | None, typer.Option(help="Which published encoder it is; it is then found by that name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write, where it is none of these.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the weights of a pickle as safetensors, without running what it may ask for."""
    from histoscribe.features.networks.catalogue import published_encoder
    from histoscribe.features.networks.converting import convert_weights as convert

    published = None if encoder is None else published_encoder(encoder)
    with job() as progress:
        progress.report("reading the weights in a process of their own")
        done = convert(file, published=published, target=out)
    facts = {
        "written": done.path,
        "sha256": done.sha256,
        "tensors": done.tensors,
        "read with": ", ".join(done.given_up) or "nothing given up: this system has no way to",
        "licence": "not stated" if published is None else published.licence,
    }
    if "no network" not in done.given_up:
        caution(
            ["this system lets nothing be shut off from network and files: the reader alone kept it safe"]
        )
    answer("Weights", facts)
