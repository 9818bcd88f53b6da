"""`histoscribe fetch`: published encoders, with their licence shown first."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from histoscribe.cli.console import emit, show, show_rows, words
from histoscribe.cli.options import AsJson
from histoscribe.cli.running import job
from histoscribe.errors import SettingError


def fetch(
    name: Annotated[str | None, typer.Argument(help="Which one; all are listed if none is named.")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Do not ask: its terms are known and accepted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a published tile encoder; its licence is shown, and nothing is read but safetensors."""
    from histoscribe.features.networks.catalogue import PUBLISHED, published_encoder
    from histoscribe.features.networks.fetching import encoders_folder, fetch as download, look_up

    if name is None:
        rows = [
            {
                "name": one.name, "licence": one.licence, "gated": one.gated, "library": one.library,
                "here": (encoders_folder() / one.name).is_dir(), "page": one.page,
            }
            for one in PUBLISHED.values()
        ]  # fmt: skip
        if as_json:
            emit({"encoders": rows, "folder": encoders_folder()})
        else:
            show_rows(list(rows[0]), [list(row.values()) for row in rows])
        return
    published = published_encoder(name)
    with job() as progress:
        progress.report("asking the hub")
        offer = look_up(published)
    terms = {
        "encoder": published.name,
        "page": published.page,
        "licence": published.licence,
        "licence on the hub": offer.licence or "not stated",
        "access": "its owners want to be asked on that page first" if offer.gated else "open",
        "size": f"{offer.nbytes / 1e6:,.0f} MB",
        "revision": offer.revision,
    }
    for key, value in terms.items():
        words.print(f"{key}: {value}", markup=False)
    if not accept_licence:
        if not sys.stdin.isatty():
            raise SettingError(
                "its terms have not been accepted", where=name, remedy="read them, then add --accept-licence"
            )
        if not typer.confirm("Do you accept these terms?", err=True):
            raise SettingError("its terms were not accepted, nothing was fetched", where=name)
    with job() as progress:
        folder = download(offer, progress=progress)
    if as_json:
        emit({**terms, "folder": folder})
        return
    show("Fetched", {"folder": folder, "licence": terms["licence"]}.items())
