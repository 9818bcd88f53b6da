"""`histoscribe train`: learn a model from measured sections."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from histoscribe.cli import options
from histoscribe.cli.console import answer, call, caution
from histoscribe.cli.running import job, verb
from histoscribe.cli.targets import open_cohort, open_described, output_file, output_folder, sources
from histoscribe.errors import TableError
from histoscribe.files import replacing
from histoscribe.models import Card

app = typer.Typer(no_args_is_help=True, help="Learn a model from measured sections.")


Devices = Annotated[int, typer.Option(min=1, help="How many devices or processes train together.")]


@app.callback()
def train() -> None:
    """Learn a model from measured sections."""


@app.command("predictor")
@verb
def predictor(
    cohort: Annotated[list[Path], typer.Argument(help="A cohort CSV, or section paths.")],
    out: options.ModelFolder,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave this section out (repeatable).")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Take only this section (repeatable).")] = None,
    panel_size: Annotated[int, typer.Option(min=1, help="How many genes: the most variable ones.")] = 250,
    panel: Annotated[Path | None, typer.Option(help="A text file with one gene a line, instead.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the spots.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Networks whose mean is taken.")] = None,
    seed: options.Seed = 0,
    variant: Annotated[str, typer.Option(help="Form of the network.")] = "histoscribe",
    types: Annotated[
        str | None, typer.Option(help="Spot types: nuclei, or a folder of labels or cells per section.")
    ] = None,
    graphs: Annotated[
        bool, typer.Option(help="Look along both graphs of the spots: adds maps of attention.")
    ] = False,
    crops: Annotated[bool, typer.Option(help="Keep small pictures of the reference spots.")] = True,
    encoder: Annotated[
        str,
        typer.Option(
            help="What describes a tile: builtin, texture, both, auto (of these), a fetched one, a folder."
        ),
    ] = "both",
    store: options.Store = None,
    scheduler: options.Scheduler = None,
    device: options.Device = "auto",
    devices: Devices = 1,
    licence: options.Licence = "not stated",
    tissue: Annotated[str, typer.Option(help="For the card: of what organ and disease it learns.")] = "",
    technology: Annotated[str, typer.Option(help="For the card: Visium, Visium HD, Xenium …")] = "",
    as_json: options.AsJson = False,
) -> None:
    """Learn to predict expression from the slide beneath measured spots; a run that is stopped goes on where
    it was."""
    from histoscribe.features import connected, encoder_named, storing
    from histoscribe.genes import read_gene_list
    from histoscribe.predictor import Predictor
    from histoscribe.predictor.settings import GRAPHS

    output_folder(out)
    genes = None if panel is None else read_gene_list(panel)
    lengths = {"epochs": epochs, "members": members}  # a variant has its own
    checkpoint = out.with_name(f"{out.name}.training")
    with job() as progress:
        chosen = encoder if encoder == "auto" else encoder_named(encoder, device=device)
        model = Predictor(
            variant,
            seed=seed,
            device=device,
            licence=licence,
            panel=genes,
            panel_size=panel_size,
            graphs=GRAPHS if graphs else (),
            **{name: length for name, length in lengths.items() if length is not None},
        )
        sections = open_cohort(cohort, exclude=exclude or (), only=only or (), progress=progress)
        with connected(scheduler), storing(store):
            model.fit(
                sections,
                encoder=chosen,
                crops=crops,
                types=types,
                devices=devices,
                checkpoint=checkpoint,
                progress=progress,
            )
        model.save(out, tissue=tissue, technology=technology)
    shutil.rmtree(checkpoint, ignore_errors=True)
    caution(f"{section.name}: {warning}" for section in sections for warning in section.warnings)
    card = model.card
    caution(card.settings.get("doubts", ()))
    facts = {
        "model": out,
        "sections": [section.name for section in sections],
        "patients": sorted({section.patient for section in sections}),
        "spots": sum(section.table.n_obs for section in sections),
        "genes": len(card.genes),
        "encoder": card.encoder,
        "seconds": call().seconds,
    }
    settings = model.settings.to_dict() | {"seed": seed, "device": device, "licence": licence}
    if genes is not None:
        settings["panel"] = genes
    hint = f"Next: histoscribe predict {out} TARGET --out predicted.h5ad"
    answer("Model", facts, hint=hint, settings=settings, sha256=card.sha256)


@app.command("imputer")
@verb
def imputer(
    table: options.Samples,
    out: options.ModelFolder,
    from_: Annotated[
        str | None, typer.Option("--from", help="Tune this model (folder or bundled name) on the table.")
    ] = None,
    samples: options.Known = None,
    patient: options.Patient = None,
    section: options.InCohort = None,
    scale: options.SamplesScale = None,
    factors: Annotated[
        int | None, typer.Option(min=1, help="Of the Gaussian start; chosen if not given.")
    ] = None,
    references: Annotated[int, typer.Option(min=20, help="Samples that the model remembers.")] = 2048,
    steps: Annotated[int, typer.Option(min=0, help="Training steps of the encoder-decoder.")] = 600,
    seed: options.Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "cpu",
    devices: Devices = 1,
    licence: options.Licence = "not stated",
    as_json: options.AsJson = False,
) -> None:
    """Learn to restore genes; a run that is stopped goes on where it was."""
    from histoscribe.imputer import Imputer

    output_folder(out)
    checkpoint = out.with_name(f"{out.name}.training")
    with job() as progress:
        model = Imputer(
            factors=factors,
            references=references,
            steps=steps,
            devices=devices,
            seed=seed,
            device=device,
            licence=licence,
        )
        progress.report("opening the table")
        opened = open_described(table, samples, patient=patient, section=section, scale=scale)
        start_from = None if from_ is None else Imputer.load(from_)
        model.fit(opened, start=start_from, checkpoint=checkpoint, progress=progress)
        model.save(out)
    shutil.rmtree(checkpoint, ignore_errors=True)
    card = model.card
    caution([*opened.warnings, *card.settings["notes"]])
    scores = sorted(found["r"] for found in card.held_out.values())
    facts = {
        "scale": card.target,
        "factors": card.settings["factors"],
        "held_out_median_r": scores[len(scores) // 2] if scores else None,
    }
    _say(out, card, facts, hint=f"Next: histoscribe impute TABLE --model {out} --out restored.h5ad")


@app.command("generator")
@verb
def generator(
    table: Annotated[Path, typer.Argument(help="CSV, TSV, GCT or h5ad: samples by genes.")],
    out: options.ModelFolder,
    samples: Annotated[
        Path | None, typer.Option(help="CSV with sample, sample_type, cancer, site, patient.")
    ] = None,
    met500: Annotated[
        Path | None, typer.Option(help="Folder with MET500's files from UCSC Xena, as metastases.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="counts, linear, log2 or log1p; recognised if not given.")
    ] = None,
    met_steps: Annotated[int, typer.Option(min=1, help="Training steps of the MetVAE.")] = 600,
    mixing_steps: Annotated[int, typer.Option(min=1, help="Training steps of encoder and mixer.")] = 500,
    seed: options.Seed = 0,
    licence: options.Licence = "not stated",
    as_json: options.AsJson = False,
) -> None:
    """Learn to generate metastases from your own cohort."""
    from histoscribe.generator import Generator, read_met500, read_metastasis_cohort
    from histoscribe.generator.cohort import join_platforms

    output_folder(out)
    with job() as progress:
        progress.report("reading the cohort")
        cohort = read_metastasis_cohort(table, samples, scale=scale)
        if met500 is not None:
            probes = sorted(met500.glob("*.probemap*"))
            metastases = read_met500(
                met500 / "M.mx.log2.txt.gz", met500 / "M.meta.plus.txt", probes[0] if probes else None
            )
            cohort = join_platforms(cohort, metastases)
        model = Generator(met_steps=met_steps, mixing_steps=mixing_steps, seed=seed, licence=licence)
        model.fit(cohort, progress=progress)
        model.save(out)
    caution(model.card.settings["notes"])
    facts = {"samples": model.card.settings["samples"], "cancers": model.cancers, "sites": model.sites}
    hint = f"Next: histoscribe generate --model {out} --primary TABLE --site SITE --out generated.h5ad"
    _say(out, model.card, facts, hint=hint)


@app.command("classifier")
@verb
def classifier(
    table: options.Samples,
    out: options.ModelFolder,
    class_: Annotated[str, typer.Option("--class", help="Column (or columns, with commas) of the class.")],
    samples: options.Known = None,
    patient: options.Patient = None,
    only: options.Only = None,
    unknown: Annotated[float, typer.Option(help="Share of known samples that may be called unknown.")] = 0.05,
    markers: Annotated[Path | None, typer.Option(help="Write the genes that tell each class: CSV.")] = None,
    section: options.InCohort = None,
    scale: options.SamplesScale = None,
    licence: options.Licence = "not stated",
    as_json: options.AsJson = False,
) -> None:
    """Learn to tell classes of samples from any of their genes."""
    from histoscribe.classifier import Classifier
    from histoscribe.section import Section

    output_folder(out)
    if markers is not None:
        output_file(markers, ".csv", inputs=sources(table, samples))
    with job() as progress:
        progress.report("opening the table")
        model = Classifier(unknown=unknown, licence=licence)
        opened = open_described(
            table, samples, patient=patient, class_=class_, only=only, section=section, scale=scale
        )
        labels = opened.table.obs.get(class_ if isinstance(opened, Section) else "class")
        if labels is None:
            remedy = "give a table of samples with a file that describes them"
            raise TableError("its spots name no class", where=table, remedy=remedy)
        model.fit(opened, labels.tolist()).save(out)
        if markers is not None:
            with replacing(markers) as fresh:
                model.biomarkers().to_csv(fresh, index=False, float_format="%.4g")
    caution(opened.warnings)
    facts = {"classes": model.card.settings["classes"]}
    _say(out, model.card, facts, hint=f"Next: histoscribe classify TABLE --model {out} --out told.csv")


@app.command("slides")
@verb
def slides(
    cohort: Annotated[Path, typer.Argument(help="CSV with section, patient, path: a slide a line.")],
    labels: Annotated[Path, typer.Option(help="CSV: slide or patient, then a column each label.")],
    out: options.ModelFolder,
    label: Annotated[list[str] | None, typer.Option(help="Take only this label (repeatable).")] = None,
    pooling: Annotated[str, typer.Option(help="auto, mean, attention or transformer.")] = "auto",
    prior: Annotated[
        str | None,
        typer.Option(help="Which labels go together: cooccurrence, sets, a GMT file or a CSV of edges."),
    ] = None,
    grid_um: Annotated[float, typer.Option(min=1.0, help="Pitch of the tiles in µm.")] = 55.0,
    steps: Annotated[int, typer.Option(min=8, help="The longest that a network learns.")] = 240,
    encoder: options.Encoder = "both",
    mpp: options.SlideMpp = None,
    store: options.Store = None,
    scheduler: options.Scheduler = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    licence: options.Licence = "not stated",
    as_json: options.AsJson = False,
) -> None:
    """Learn labels of whole slides: mutation, subtype, grade, expression; patients are never split."""
    from histoscribe.features import connected, encoder_named, storing
    from histoscribe.labeller import Labeller, describe_cohort, read_labels, recognise
    from histoscribe.section import read_cohort_csv

    output_folder(out)
    rows = read_cohort_csv(cohort)
    names, patients = [row.section for row in rows], [row.patient or row.section for row in rows]
    table, doubts = read_labels(labels, names, patients, label or ())
    recognise(table, patients)
    known = [row for row in rows if (table.loc[row.section].fillna("") != "").any()]
    with job() as progress, connected(scheduler), storing(store):
        model = Labeller(pooling=pooling, steps=steps, seed=seed, device=device, licence=licence)
        chosen = encoder_named(encoder, device=device)
        bags, failed = describe_cohort(known, chosen, pitch_um=grid_um, mpp=mpp, progress=progress)
        model.fit(bags, table, prior=prior, encoder=chosen, pitch_um=grid_um, progress=progress).save(out)
    card = model.card
    doubts += [*failed, *card.settings["doubts"]]
    caution(doubts)
    facts = {
        "model": out,
        "slides": len(card.training),
        "patients": len(card.patients),
        "pooling": card.variant,
        "labels": [f"{one.name} ({one.kind})" for one in model.fitted.labels],
        "encoder": card.encoder,
        "seconds": call().seconds,
    }
    columns = ("low", "high", "mean_pooling", "chance", "patients")
    scored = [
        [name, one.get("auc", one.get("r")), *(one[key] for key in columns)]
        for name, one in card.held_out.items()
    ]
    answer(
        "Model",
        facts,
        (("label", "held out: auc or r", *columns), scored),
        hint=f"Next: histoscribe classify SLIDE --model {out} --out told.csv --attention tiles.geojson",
        settings=card.settings,
        sha256=card.sha256,
        held_out=card.held_out,
        warnings=doubts,
    )


def _say(out: Path, card: Card, facts: Mapping[str, Any], *, hint: str) -> None:
    """Answer with a table's model, its settings without the long lists among them."""
    counted = {"samples": len(card.training), "patients": len(card.patients), "genes": len(card.genes)}
    facts = {"model": out, **counted, **facts, "seconds": call().seconds}
    settings = {name: value for name, value in card.settings.items() if name not in ("aliases", "notes")}
    answer("Model", facts, hint=hint, settings=settings, sha256=card.sha256)
