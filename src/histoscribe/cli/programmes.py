"""`histoscribe programmes`: learn gene programmes, or find learned ones in samples and on tissue."""

from pathlib import Path
from typing import Annotated, Any

import typer

from histoscribe.cli import options
from histoscribe.cli.console import answer, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import (
    gene_sets,
    open_described,
    open_samples,
    output_file,
    output_folder,
    refuse_given,
    sources,
)
from histoscribe.errors import SettingError, TableError
from histoscribe.files import replacing, write_h5ad

_SHOWN = ("share", "over_seeds", "over_folds", "hazard", "low", "high", "gene_set", "genes")


def programmes(
    table: options.Samples,
    out: Annotated[Path, typer.Option(help="Folder of programmes to learn; with --model CSV or h5ad.")],
    model: Annotated[Path | None, typer.Option(help="Find these programmes, and learn none.")] = None,
    survival: Annotated[str | None, typer.Option(help="Columns TIME,EVENT of the samples.")] = None,
    samples: options.Known = None,
    patient: options.Patient = None,
    only: options.Only = None,
    number: Annotated[int | None, typer.Option(min=2, help="How many; chosen if not given.")] = None,
    sets: options.GeneSetFiles = None,
    region: Annotated[Path | None, typer.Option(help="GeoJSON: shares in its regions, with --model.")] = None,
    section: options.InCohort = None,
    scale: options.SamplesScale = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Learn gene programmes and their hazards from a table, or find learned ones in samples or spots."""
    if model is not None:
        about = {"survival": survival, "samples": samples, "patient": patient, "only": only}
        refuse_given("with --model nothing is learned", table, **about, number=number, sets=sets or None)
        _find(table, out, model, region, section, scale)
        return
    from histoscribe.programmes import Programmes

    refuse_given("regions have shares of programmes that were learned before", table, region=region)
    output_folder(out)
    named = None if survival is None else tuple(part.strip() for part in survival.split(","))
    if named is not None and len(named) != 2:
        raise SettingError(f"{survival!r} is not TIME,EVENT", where="--survival", remedy="name two columns")
    with job() as progress:
        known = gene_sets(sets)
        opened = open_described(table, samples, patient=patient, only=only, section=section, scale=scale)
        learned = Programmes(number=number, seed=seed)
        learned.fit(opened, survival=named, sets=known, progress=progress)
        learned.save(out)
    found, own = learned.table, learned.card.settings
    caution([*own["notes"], *(["there is no survival: no hazards are given"] if named is None else [])])
    facts = {
        "model": out,
        "programmes": len(found),
        "genes": len(learned.genes),
        "samples": len(learned.card.training),
        "events": own["events"],
        "weight_of_survival": own["weight"],
    }
    hint = f"Next: histoscribe programmes SECTION --model {out} --out programmes.h5ad"
    rows = found.reset_index().to_dict("records")
    kept = [name for name in _SHOWN if name in found]
    shown = ("programme", *kept), found[kept].itertuples(name=None)
    answer("Learned", facts, shown, hint=hint, rows=rows, tried=own["tried"])


def _find(
    table: Path, out: Path, model: Path, region: Path | None, section: str | None, scale: str | None
) -> None:
    import numpy as np
    import pandas as pd

    from histoscribe.evaluation.regions import classes_of
    from histoscribe.programmes import Programmes
    from histoscribe.programmes.describing import share_by_region
    from histoscribe.section import Section
    from histoscribe.tiles import read_regions

    output_file(out, ".csv", ".h5ad", inputs=sources(table))
    with job() as progress:
        progress.report("finding programmes")
        opened = open_samples(table, section=section, scale=scale)
        found = Programmes.load(model).project(opened)
        shares: list[dict[Any, Any]] = []
        if not isinstance(opened, Section):
            refuse_given("a table of samples has no regions", table, region=region)
        elif region is not None:
            shares = share_by_region(found, classes_of(opened, read_regions(region))).to_dict("records")
        if out.suffix.lower() == ".h5ad":
            write_h5ad(found, out, TableError)
        else:
            with replacing(out) as fresh:
                layers = ("share", "low", "high")
                named = [f"{name} {layer}" for layer in layers for name in found.var_names]
                values = np.hstack([found.layers[layer] for layer in layers])
                told = pd.DataFrame(values, found.obs_names, named)
                told.to_csv(fresh, float_format="%.5g", index_label="sample")
    mean = dict(zip(found.var_names, found.layers["share"].mean(0), strict=True))
    named = [f"{name} {share:.2f}" for name, share in mean.items()]
    facts = {"written": out, "samples": found.n_obs, **found.uns, "shares": named}
    shown = [(tuple(shares[0]), [tuple(row.values()) for row in shares])] if shares else []
    answer("Found", facts, *shown, regions=shares)
