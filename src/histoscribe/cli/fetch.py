"""`histoscribe fetch`: published encoders, and sections of HEST-1k, with their licence shown first."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.console import answer, call, emit, show_rows, words
from histoscribe.cli.options import AsJson
from histoscribe.cli.running import job
from histoscribe.errors import SettingError
from histoscribe.hub import HubListing

HEST = "hest"


def fetch(
    name: Annotated[
        str | None, typer.Argument(help="Which encoder, or hest; all encoders are listed if none is named.")
    ] = None,
    ids: Annotated[str | None, typer.Option(help="hest: ids of sections with commas between.")] = None,
    to: Annotated[Path | None, typer.Option(help="hest: the folder they come to.")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Do not ask: its terms are known and accepted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a published tile encoder, or sections of HEST-1k; the licence is shown first.

    Of encoders nothing is read but safetensors; of sections only tables, slides and what is said of them.
    """
    from histoscribe.features.networks.catalogue import PUBLISHED, published_encoder
    from histoscribe.features.networks.fetching import encoders_folder, fetch as download, look_up

    if name == HEST:
        _sections(ids, to, accept_licence=accept_licence)
        return
    if ids is not None or to is not None:
        remedy = "name hest"
        raise SettingError("only sections have ids and a folder to come to", where="--ids", remedy=remedy)
    if name is None:
        rows = []
        for one in PUBLISHED.values():
            row = {name: getattr(one, name) for name in ("name", "licence", "gated", "library")}
            rows.append(row | {"here": (encoders_folder() / one.name).is_dir(), "page": one.page})
        if as_json:
            emit({"encoders": rows, "folder": encoders_folder()})
        else:
            show_rows(list(rows[0]), [list(row.values()) for row in rows])
        return
    published = published_encoder(name)
    with job() as progress:
        progress.report("asking the hub")
        offer = look_up(published)
    size = f"{offer.nbytes / 1e6:,.0f} MB"
    terms = _agreed(published.page, published.licence, offer, size, name, accept_licence, encoder=name)
    with job() as progress:
        folder = download(offer, progress=progress)
    answer("Fetched", {"folder": folder, "licence": terms.pop("licence")}, **terms)


def _sections(ids: str | None, to: Path | None, *, accept_licence: bool) -> None:
    from histoscribe.section.fetching import PAGE, fetch_sections, look_up_sections

    if not ids or to is None:
        remedy = "histoscribe fetch hest --ids TENX95,NCBI783 --to FOLDER"
        raise SettingError("ids and a folder are needed", where=HEST, remedy=remedy)
    with job() as progress:
        progress.report("asking the hub")
        offer = look_up_sections([one.strip() for one in ids.split(",") if one.strip()])
    licence = "CC-BY-NC-SA-4.0 of the archive; a section may have another, which its table states"
    size = f"{offer.nbytes / 1e6:,.0f} MB in {len(offer.files)} files"
    terms = _agreed(PAGE, licence, offer, size, HEST, accept_licence)
    with job() as progress:
        came = fetch_sections(offer, to, progress=progress)
    counts = {"came": len(came), "was there": len(offer.files) - len(came)}
    answer("Fetched", {"folder": to, **(terms | {"came": came} if call().as_json else counts)})


def _agreed(
    page: str, licence: str, offer: HubListing, size: str, name: str, accepted: bool, **more: str
) -> dict[str, str]:
    """Show the terms and give them; raise `SettingError` unless they are accepted."""
    access = "its owners want to be asked on that page first" if offer.gated else "open"
    terms = more | {"page": page, "licence": licence, "licence on the hub": offer.licence or "not stated"}
    terms |= {"access": access, "size": size, "revision": offer.revision}
    for key, value in terms.items():
        words.print(f"{key}: {value}", markup=False)
    if accepted:
        return terms
    if not sys.stdin.isatty():
        remedy = "read them, then add --accept-licence"
        raise SettingError("its terms have not been accepted", where=name, remedy=remedy)
    if not typer.confirm("Do you accept these terms?", err=True):
        raise SettingError("its terms were not accepted, nothing was fetched", where=name)
    return terms
