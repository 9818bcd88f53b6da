"""`histoscribe benchmark generator`: generated beside real metastases, on beds of the real data folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from histoscribe.cli.console import command_line, emit, plain, show, show_rows
from histoscribe.cli.running import job
from histoscribe.files import replacing


def generator(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="The folder of real data.")],
    bed: Annotated[
        Literal["semi-synthetic", "colorectal", "components"],
        typer.Option(help="11 cancers at 6 sites; real liver metastases; what components do."),
    ] = "semi-synthetic",
    methods: Annotated[str | None, typer.Option(help="Names with commas between; all by default.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many seeds.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    keep: Annotated[Path | None, typer.Option(help="File that keeps what is done, to go on later.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Generate from patients that no method has seen, and score beside the baselines."""
    from histoscribe import __version__
    from histoscribe.evaluation.generation.run import JOINT
    from histoscribe.evaluation.generation.summary import records_of
    from histoscribe.simulate.metastases import SITES, read_tcga11

    names = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    wanted = range(first_seed, first_seed + seeds)
    done = _kept(keep, bed)
    with job() as progress:
        cohort = read_tcga11(data)
        for seed in wanted:
            if seed in done:
                continue
            progress.report(f"seed {seed}: making the bed")
            done[seed] = _score(bed, data, cohort, seed, names, progress)
            if keep is not None:
                with replacing(keep) as fresh:
                    fresh.write_text(json.dumps({"bed": bed, "scored": plain(done)}), encoding="utf-8")
    records = records_of({seed: done[seed] for seed in wanted}, dataset=f"tcga11, {bed}")
    settings = {
        "bed": bed, "split": "patient", "seeds": list(wanted),
        "panel": f"{len(cohort.genes)} genes of tcga11",
        "target": "log2 of abundance", "sites": list(SITES), "joint": JOINT,
        "command": command_line(context), "versions": {"napari-histoscribe": __version__},
    }  # fmt: skip
    if as_json:
        emit({"settings": settings, "records": records})
        return
    show("Benchmark", settings.items())
    rows = [
        (one["method"], one["measure"], f"{one['value']:.4f}", f"{one['low']:.4f} to {one['high']:.4f}")
        for one in records
        if one["fold"] == "all"
    ]
    show_rows(("method", "measure", "mean over seeds", "95 % interval"), rows)


def _kept(keep: Path | None, bed: str) -> dict[int, list[dict[str, Any]]]:
    if keep is None or not keep.exists():
        return {}
    content = json.loads(keep.read_text(encoding="utf-8"))
    return {int(seed): rows for seed, rows in content["scored"].items()} if content["bed"] == bed else {}


def _score(
    bed: str, data: Path, cohort: Any, seed: int, names: list[str] | None, progress: Any
) -> list[dict[str, Any]]:
    from histoscribe.evaluation.generation.colorectal import score_colorectal
    from histoscribe.evaluation.generation.run import Trial, score_trial
    from histoscribe.evaluation.generation.stability import score_components
    from histoscribe.simulate.metastases import simulate_metastases

    made = simulate_metastases(cohort, seed=seed)
    if bed == "colorectal":
        return score_colorectal(data, cohort, made.train, seed=seed, progress=progress)
    if bed == "components":
        return score_components(made.train, seed=seed, progress=progress)
    trial = Trial(made.train, made.parents, made.test, made.primary_of, seed)
    return score_trial(trial, methods=names, progress=progress)
