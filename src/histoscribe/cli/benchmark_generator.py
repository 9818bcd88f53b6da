"""`histoscribe benchmark generator`: generated beside real metastases, on beds of the real data folder."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli.console import command_line, emit, plain, show, show_rows
from histoscribe.cli.running import job
from histoscribe.errors import SettingError
from histoscribe.files import replacing

if TYPE_CHECKING:
    from histoscribe.generator import Cohort
    from histoscribe.progress import Progress

BEDS = ("semi-synthetic", "colorectal", "components")


def generator(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="The folder of real data.")],
    beds: Annotated[
        str, typer.Option(help="Names with commas between: semi-synthetic, colorectal, components.")
    ] = ",".join(BEDS),
    methods: Annotated[
        str | None, typer.Option(help="On the semi-synthetic bed, names with commas between; all by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many seeds.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    per_pair: Annotated[int, typer.Option(min=2, help="Metastases of each cancer at each site.")] = 30,
    keep: Annotated[Path | None, typer.Option(help="File that keeps what is done, to go on later.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Generate from patients that no method has seen, and score beside the baselines."""
    from histoscribe import __version__
    from histoscribe.benchmark.generator.methods import chosen_methods
    from histoscribe.benchmark.generator.run import JOINT
    from histoscribe.benchmark.generator.summary import records_of
    from histoscribe.simulate.metastases import SITES, read_tcga11

    wanted = [name.strip() for name in beds.split(",") if name.strip()]
    unknown = sorted(set(wanted) - set(BEDS))
    if unknown or not wanted:
        raise SettingError(
            f"no bed called {', '.join(unknown)}", where="--beds", remedy=f"choose from {', '.join(BEDS)}"
        )
    names = chosen_methods(None if methods is None else [name.strip() for name in methods.split(",")])
    numbers = range(first_seed, first_seed + seeds)
    asked = {"beds": wanted, "methods": list(names), "per_pair": per_pair}
    done = _kept(keep, asked)
    with job() as progress:
        cohort = read_tcga11(data)
        for seed in numbers:
            if seed in done:
                continue
            done[seed] = _score(wanted, names, data, cohort, seed, per_pair, progress)
            if keep is not None:
                with replacing(keep) as fresh:
                    fresh.write_text(json.dumps({"asked": asked, "scored": plain(done)}), encoding="utf-8")
    records = records_of({seed: done[seed] for seed in numbers})
    settings = {
        **asked, "split": "patient: 60 % to learn from, 20 % parents, 20 % compared with",
        "seeds": list(numbers), "panel": f"{len(cohort.genes)} genes of tcga11",
        "target": "log2 of abundance", "sites": list(SITES), "joint": JOINT,
        "command": command_line(context), "versions": {"napari-histoscribe": __version__},
    }  # fmt: skip
    if as_json:
        emit({"settings": settings, "records": records})
        return
    show("Benchmark", settings.items())
    rows = [
        (one["dataset"], one["method"], one["measure"], f"{one['value']:.4f}",
         f"{one['low']:.4f} to {one['high']:.4f}")
        for one in records
        if one["fold"] == "all"
    ]  # fmt: skip
    show_rows(("bed", "method", "measure", "mean over seeds", "95 % interval"), rows)


def _kept(keep: Path | None, asked: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """What an earlier run with the same settings has done."""
    if keep is None or not keep.exists():
        return {}
    content = json.loads(keep.read_text(encoding="utf-8"))
    if content.get("asked") != asked:
        raise SettingError(
            "this was kept by a run with other settings", where=keep, remedy="name another file with --keep"
        )
    return {int(seed): rows for seed, rows in content["scored"].items()}


def _score(
    beds: list[str],
    methods: tuple[str, ...],
    data: Path,
    cohort: Cohort,
    seed: int,
    per_pair: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """One seed: a bed is made, the generator (if asked for) trained once, and scored on every bed."""
    from histoscribe.benchmark.generator.colorectal import score_colorectal
    from histoscribe.benchmark.generator.components import score_components
    from histoscribe.benchmark.generator.methods import fit_generator
    from histoscribe.benchmark.generator.run import Trial, score_trial
    from histoscribe.simulate.metastases import simulate_metastases

    progress.report(f"seed {seed}: making the bed")
    made = simulate_metastases(cohort, per_pair=per_pair, seed=seed)
    scored: dict[str, list[dict[str, Any]]] = {bed: [] for bed in beds}
    model = None
    if beds != ["semi-synthetic"] or any(name.startswith("histoscribe") for name in methods):
        start = time.perf_counter()
        model = fit_generator(made.train, seed, progress)
        taken = {"method": "histoscribe", "measure": "fit_seconds", "value": time.perf_counter() - start}
        scored[beds[0]].append(taken)
        if "components" in beds:
            scored["components"] += score_components(model)
        if "colorectal" in beds:
            scored["colorectal"] += score_colorectal(data, cohort, model, seed=seed, progress=progress)
    if "semi-synthetic" in beds:
        trial = Trial(made.train, made.parents, made.test, made.primary_of, seed)
        scored["semi-synthetic"] += score_trial(trial, model, methods, progress=progress)
    return [{**row, "dataset": bed} for bed, rows in scored.items() for row in rows]
