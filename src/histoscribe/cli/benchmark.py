"""`histoscribe benchmark`: every method on the same folds, panel and target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from histoscribe.cli import options
from histoscribe.cli.console import call, caution, emit, show, show_rows, words
from histoscribe.cli.running import job, verb
from histoscribe.cli.targets import open_cohort, output_file, refuse_given
from histoscribe.errors import SettingError, require_known

if TYPE_CHECKING:
    from histoscribe.benchmark import Benchmark, TableLayout
    from histoscribe.benchmark.predictor import GenePanel
    from histoscribe.benchmark.predictor.peers import Tiles
    from histoscribe.progress import Progress
    from histoscribe.section import Section

Methods = Annotated[str | None, typer.Option(help="Names with commas between; all by default.")]
Split = Literal["section", "patient"]
Seeds = Annotated[int, typer.Option(min=1, max=100, help="How many seeds.")]
Keep = Annotated[
    Path | None, typer.Option("--ledger", "--keep", help="Scores are kept; a stopped run goes on from here.")
]
Report = Annotated[Path | None, typer.Option(help="An HTML report.")]
Tables = Annotated[Path | None, typer.Option(help="The scores as Markdown tables.")]
SIMULATED = "simulated"
BEDS = ("semi-synthetic", "colorectal", "components")
_TCGA11 = {"table": "bulk/tcga11_tumor_normal.expr.csv.gz", "class": "cancer,sample_type"}
_TCGA3 = {"table": "bulk/tcga3_xena_log2tpm.expr.csv.gz", "class": "cancer"}
_KNOWN: dict[str, dict[str, str]] = {
    **dict.fromkeys(("random", "low", "panels"), _TCGA11),
    "classes": {**_TCGA11, "class": "cancer", "only": "sample_type=primary_tumor"},
    "survival": {**_TCGA3, "time": "DSS.time", "event": "DSS"},
    "spots": {"table": "her2st/cohort.csv"},
}

app = typer.Typer(no_args_is_help=True, help="Score every method on the same folds, panel and target.")


@app.callback()
def benchmark() -> None:
    """Score every method on the same folds, panel and target."""


@app.command()
@verb
def predictor(
    data: Annotated[
        Path | None, typer.Argument(help="A cohort of measured sections, or HEST's benchmark.")
    ] = None,
    split: Annotated[
        Split | None, typer.Option(help="What is held out: section, or patient in HEST's benchmark.")
    ] = None,
    methods: Methods = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="The default with each part left out or added.")
    ] = False,
    folds: Annotated[str | None, typer.Option(help="Only these held-out sections or patients.")] = None,
    panel_size: Annotated[int, typer.Option(min=1, help="How many genes, chosen in each fold.")] = 250,
    panel: Annotated[str | None, typer.Option(help="A file with one gene a line, or: all.")] = None,
    panel_chosen_on: Annotated[
        str | None, typer.Option(help="Sections that this list was chosen with; none may be held out.")
    ] = None,
    target: Annotated[
        Literal["clean", "published"], typer.Option(help="published only reproduces papers: depth leaks.")
    ] = "clean",
    guide: Annotated[
        str | None, typer.Option(help="Give spots of the held-out section, such as random:0.2,block:0.25.")
    ] = None,
    seeds: Seeds = 1,
    encoder: options.Encoder = "both",
    store: options.Store = None,
    ledger: Keep = None,
    out: Report = None,
    table: Tables = None,
    named: Annotated[Path | None, typer.Option("--data", help="The data, as an option.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Hold out every section or patient once, and score the predictor beside its peers and baselines.

    HEST's benchmark is scored by its own protocol on its splits, and by ours beside it.
    """
    from histoscribe.benchmark import chosen_methods, methods_of, run_benchmark
    from histoscribe.benchmark.predictor import guided_benchmark, make_folds, predictor_benchmark
    from histoscribe.benchmark.predictor.hest import holds_tasks
    from histoscribe.features import encoder_named, storing
    from histoscribe.predictor import encode_section

    data = data or named
    if data is None:
        raise SettingError("no data were named", where="benchmark predictor", remedy="name a cohort CSV")
    check_outputs(data, out, table)
    other = None if target == "clean" else target
    if holds_tasks(data):
        why, set_here = "HEST's benchmark has folds and genes of its own", ablation or None
        refuse_given(why, data, folds=folds, panel=panel, guide=guide, ablation=set_here, store=store)
        refuse_given("HEST's genes are scored on the clean target", data, target=other)
        asked_for = names_in(methods) or ["ridge", "histoscribe"]
        told, layout = _hest(data, encoder, split or "patient", asked_for, range(seeds), ledger)
        finish(told, layout, out=out, table=table)
        return
    if guide is not None:
        why = "given spots are scored on the clean target, by models of seed 0"
        refuse_given(why, "--guide", seeds=None if seeds == 1 else seeds, target=other)
    if panel is None or panel == "all":
        refuse_given("the panel is chosen in each fold", "--panel", panel_chosen_on=panel_chosen_on)
    held: Split = split or "section"
    genes, only = _panel(panel, panel_size, panel_chosen_on), names_in(folds)
    task, chosen = "predictor" if guide is None else "predictor guided", names_in(methods)
    if ablation:
        varied = [name for name in methods_of(task) if name.startswith("histoscribe ")]
        chosen = [*(chosen or []), *varied, "histoscribe"]
    wants_pixels = any(method.needs for method in chosen_methods(task, chosen))
    with job() as progress:
        described_by = encoder_named(encoder)
        sections = open_cohort([data], progress=progress)
        make_folds(sections, held, only=only, chosen_on=genes.chosen_on)
        with storing(store):
            encoded = [encode_section(section, described_by, progress=progress) for section in sections]
        dataset = data.absolute().parent.name if data.stem == "cohort" else data.stem
        if guide is not None:
            benchmark = guided_benchmark(
                encoded, guide, dataset=dataset, split=held, methods=chosen, panel=genes, folds=only
            )
        else:
            benchmark = predictor_benchmark(
                encoded,
                dataset=dataset,
                split=held,
                methods=chosen,
                panel=genes,
                target=target,
                seeds=range(seeds),
                tiles=_pixels(sections, progress) if wants_pixels else None,
                folds=only,
            )
        outcome = run_benchmark(benchmark, ledger=ledger, progress=progress)
        outcome["settings"]["encoder"] = described_by.name
    caution(f"{section.name}: {warning}" for section in sections for warning in section.warnings)
    if target == "published":
        caution(["depth leaks into every gene of the published target: these numbers reproduce, not compare"])
    finish(outcome, benchmark.layout, out=out, table=table)


def _panel(panel: str | None, size: int, chosen_on: str | None) -> GenePanel:
    """The genes of a file, all, or so many chosen in each fold."""
    from histoscribe.benchmark.predictor import GenePanel
    from histoscribe.genes import read_gene_list

    if panel is None:
        return GenePanel(size)
    if panel == "all":
        return GenePanel(1_000_000)
    genes = tuple(read_gene_list(Path(panel)))
    return GenePanel(genes=genes, chosen_on=tuple(names_in(chosen_on) or ()))


def _hest(
    data: Path, encoder: str, split: Split, methods: list[str], seeds: range, ledger: Path | None
) -> tuple[dict[str, Any], TableLayout]:
    """HEST's benchmark by its own protocol and by ours, task by task."""
    from histoscribe.benchmark import run_benchmark
    from histoscribe.benchmark.predictor import GenePanel, predictor_benchmark
    from histoscribe.benchmark.predictor.hest import (
        PATCH_MPP,
        counted,
        hest_tasks,
        official_benchmark,
        over_tasks,
        read_sample,
    )
    from histoscribe.features import encoder_named

    with job() as progress:
        described_by, outcomes = encoder_named(encoder), []
        for task in hest_tasks(data):
            sections = {name: read_sample(task, name, described_by, progress) for name in task.files}
            official = official_benchmark(task, sections)
            outcomes.append(run_benchmark(official, ledger=ledger, progress=progress))
            spots, genes = [counted(section) for section in sections.values()], GenePanel(genes=task.genes)
            ours = predictor_benchmark(
                spots, dataset=task.name, split=split, methods=methods, panel=genes, seeds=seeds
            )
            outcomes.append(run_benchmark(ours, ledger=ledger, progress=progress))
    outcome = over_tasks(outcomes)
    sees = (
        f"{described_by.crop_um:g} µm of patches at {PATCH_MPP} µm per pixel; enlarged where they show less"
    )
    outcome["settings"] |= {"encoder": described_by.name, "sees": sees}
    return outcome, official.layout


def _pixels(sections: list[Section], progress: Progress) -> Tiles | None:
    """Crops of every section's counted spots for the peer that learns from pixels."""
    import numpy as np

    from histoscribe.benchmark.predictor.methods.brstnet import CROP_UM, SIDE
    from histoscribe.tiles import read_crops, spot_tiles

    found = {}
    for section in sections:
        if section.slide is None:
            return None
        depth = np.asarray(section.table.X.sum(axis=1)).reshape(-1)
        counted = section.with_table(section.table[depth > 0])
        crops = read_crops(
            section.slide, spot_tiles(counted), crop_um=CROP_UM, mpp=CROP_UM / SIDE, progress=progress
        )
        found[section.name] = np.concatenate(list(crops))
    return found


@app.command()
@verb
def imputer(
    data: Annotated[
        str, typer.Argument(help="A table, the folder of real data; for spots a cohort CSV or 'simulated'.")
    ],
    task: Annotated[str, typer.Option(help="random, low, panels, classes, survival or spots.")] = "random",
    methods: Methods = None,
    seeds: Seeds = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="The first; defaults were chosen on seed 0.")] = 1,
    genes: Annotated[
        int, typer.Option(min=2, help="So many genes: random ones, for spots the best-measured.")
    ] = 1000,
    samples: options.Known = None,
    class_: Annotated[str | None, typer.Option("--class", help="Column of the class.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time to the event.")] = None,
    event: Annotated[str | None, typer.Option(help="Column that is 1 where the event came.")] = None,
    only: options.Only = None,
    section: Annotated[
        str | None, typer.Option(help="Spots: the section to restore (default C3 or the last).")
    ] = None,
    hidden: Annotated[int, typer.Option(min=1, help="Spots: how many genes are hidden.")] = 300,
    model: Annotated[str, typer.Option(help="Spots: the model that is tuned.")] = "imputer-tcga11",
    keep: Keep = None,
    out: Report = None,
    table: Tables = None,
    as_json: options.AsJson = False,
) -> None:
    """Hide what is known, restore it with the imputer and with its baselines, and score both."""
    from histoscribe.benchmark import run_benchmark
    from histoscribe.benchmark.imputer import TASKS, imputer_benchmark
    from histoscribe.bulk import read_table
    from histoscribe.bulk.samples import file_beside, with_samples

    require_known("task", [task], TASKS, where="--task")
    check_outputs(Path(data), out, table)
    simulated = task == "spots" and data == SIMULATED
    known = _KNOWN[task] if Path(data).is_dir() and not simulated else {}
    path = Path(data) / known["table"] if known else Path(data)
    given = {"class": class_, "time": time, "event": event}
    roles = {role: column for role, named in given.items() if (column := named or known.get(role))}
    if task == "spots":
        refuse_given("sections are no table of samples", data, samples=samples, only=only, **given)
    else:
        refuse_given(f"{task} is asked of a table of samples, not of a section", data, section=section)
    chosen, numbers = names_in(methods) or [], range(first_seed, first_seed + seeds)
    with job() as progress:
        if task == "spots":
            place = None if simulated else path
            benchmark, warnings = _on_spots(
                place, section, genes, hidden, model, methods=chosen, seeds=numbers, progress=progress
            )
        else:
            bulk = read_table(path)
            about = samples or file_beside(path)
            bulk = with_samples(bulk, about, roles=roles, only=only or known.get("only"))
            some = genes if task in ("random", "low") else None
            benchmark = imputer_benchmark(
                task, bulk, seeds=numbers, methods=chosen, genes=some, progress=progress
            )
            warnings = list(bulk.warnings)
        outcome = run_benchmark(benchmark, ledger=keep, progress=progress)
    caution(warnings)
    finish(outcome, benchmark.layout, out=out, table=table)


def _on_spots(
    path: Path | None,
    section: str | None,
    genes: int,
    hidden: int,
    model: str,
    *,
    methods: list[str],
    seeds: range,
    progress: Progress,
) -> tuple[Benchmark, list[str]]:
    """The benchmark on sections at a path, or on simulated ones, and the sections' warnings."""
    from histoscribe.benchmark.imputer import spots_benchmark
    from histoscribe.imputer import Imputer
    from histoscribe.models import bundled
    from histoscribe.simulate import simulate_section

    if path is None:
        sections = [simulate_section(number, genes=300, progress=progress) for number in (1, 2, 3, 4)]
        name, genes = SIMULATED, len(sections[0].genes)
        hidden = genes // 3
    else:
        name, sections = path.absolute().parent.name, open_cohort([path], progress=progress)
    names = [one.name for one in sections]
    test = section or ("C3" if "C3" in names else names[-1])
    require_known("section", [test], names, where="--section")
    benchmark = spots_benchmark(
        sections,
        test,
        dataset=f"{name}, {test}, {hidden} of {genes} genes hidden",
        seeds=seeds,
        methods=methods,
        genes=genes,
        hidden=hidden,
        pretrained=Imputer.load(bundled(model)),
        progress=progress,
    )
    return benchmark, [f"{one.name}: {warning}" for one in sections for warning in one.warnings]


@app.command()
@verb
def generator(
    data: Annotated[Path, typer.Argument(help="The folder of real data.")],
    beds: Annotated[str, typer.Option(help="Of semi-synthetic, colorectal, components.")] = ",".join(BEDS),
    methods: Annotated[
        str | None, typer.Option(help="On the semi-synthetic bed, names with commas between; all by default.")
    ] = None,
    seeds: Seeds = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    per_pair: Annotated[int, typer.Option(min=2, help="Metastases of each cancer at each site.")] = 30,
    keep: Keep = None,
    out: Report = None,
    table: Tables = None,
    as_json: options.AsJson = False,
) -> None:
    """Generate from patients that no method has seen, and score beside the baselines."""
    from histoscribe.benchmark import run_benchmark
    from histoscribe.benchmark.generator import generator_benchmark
    from histoscribe.simulate.metastases import read_tcga11

    check_outputs(data, out, table)
    wanted, chosen = names_in(beds) or [], names_in(methods)
    require_known("bed", wanted or [""], BEDS, where="--beds")
    with job() as progress:
        benchmark = generator_benchmark(
            read_tcga11(data),
            data,
            beds=wanted,
            methods=chosen,
            seeds=range(first_seed, first_seed + seeds),
            per_pair=per_pair,
            progress=progress,
        )
        outcome = run_benchmark(benchmark, ledger=keep, progress=progress)
    finish(outcome, benchmark.layout, out=out, table=table)


def check_outputs(data: Path, out: Path | None, table: Path | None) -> None:
    """Refuse a report or a table that cannot be written, before anything is computed."""
    for path, ending in ((out, ".html"), (table, ".md")):
        if path is not None:
            output_file(path, ending, inputs=[data])


def finish(outcome: dict[str, Any], layout: TableLayout, *, out: Path | None, table: Path | None) -> None:
    """Write what was asked for, then print the means, or one JSON object."""
    from histoscribe import __version__
    from histoscribe.benchmark import write_benchmark_report, write_tables

    outcome["settings"] |= {"command": call().line, "versions": {"napari-histoscribe": __version__}}
    if out is not None:
        write_benchmark_report(outcome, out, layout)
    if table is not None:
        write_tables(outcome, table, layout)
    if call().as_json:
        emit(outcome)
        return
    show("Benchmark", outcome["settings"].items())
    names, rows = ("dataset", "method", "measure"), []
    for one in outcome["records"]:
        if one["fold"] == "all":
            interval = f"{one['low']:.3f} to {one['high']:.3f}"
            rows.append((*(one[name] for name in names), f"{one['value']:.3f}", interval))
    show_rows(("data", "method", "measure", "mean over folds", "95 % interval"), rows)
    if out is not None:
        words.print(f"Report: {out}", markup=False)


def names_in(text: str | None) -> list[str] | None:
    """Names with commas between; None where nothing was given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
