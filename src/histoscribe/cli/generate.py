"""`histoscribe generate`: profiles of the metastases that a primary tumour might become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histoscribe.cli import options
from histoscribe.cli.console import answer, call, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import gene_sets, open_samples, output_file, refuse_given, sources
from histoscribe.errors import SettingError
from histoscribe.files import replacing
from histoscribe.record import amend_record, record_of

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.bulk import BulkTable
    from histoscribe.genes.sets import GeneSets

_SHOWN = 15


def generate(
    primary: Annotated[Path, typer.Option(help="Bulk table or section of the primary tumour.")],
    site: Annotated[str, typer.Option(help="Where the metastasis is to be: liver, lung, ...")],
    out: Annotated[Path, typer.Option(help="The h5ad or CSV file to write.")],
    model: options.ModelName = "generator-tcga11",
    normal: Annotated[
        Path | None, typer.Option(help="Bulk table or section of the site's normal tissue.")
    ] = None,
    cancer: Annotated[str | None, typer.Option(help="Which cancer; recognised if not given.")] = None,
    region: Annotated[Path | None, typer.Option(help="GeoJSON: the primary's spots inside it.")] = None,
    normal_region: Annotated[
        Path | None, typer.Option(help="GeoJSON: the normal tissue's spots inside it.")
    ] = None,
    section: options.InCohort = None,
    samples: Annotated[int, typer.Option(help="How many profiles.")] = 100,
    purity: Annotated[
        str | None, typer.Option(help="Share of tumour, 0.6 or 0.4-0.8; as learned if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same profiles.")] = 0,
    adapt: Annotated[
        bool | None, typer.Option("--adapt/--no-adapt", help="Map the parents to the model's scale by rank.")
    ] = None,
    sets: options.GeneSetFiles = None,
    components: Annotated[
        Path | None, typer.Option(help="Write what the components do: this CSV, and a PNG beside it.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Generate metastases of a primary at a site: hypotheses for research, not a diagnosis."""
    from histoscribe.generator import Generator
    from histoscribe.generator.components import draw_components
    from histoscribe.generator.result import write_generated

    output_file(out, ".h5ad", ".csv", inputs=sources(primary, normal))
    if components is not None:
        output_file(components, ".csv", inputs=sources(primary, normal, out))
    if normal is None:
        refuse_given("there is no normal tissue, which --normal names", site, normal_region=normal_region)
    share = read_purity(purity)
    with job() as progress:
        progress.report("opening model and parents")
        generator = Generator.load(model)
        known = gene_sets(sets)
        tissue = None if normal is None else _parent(normal, None, normal_region)
        table = generator.generate(
            _parent(primary, section, region),
            site=site,
            cancer=cancer,
            normal=tissue,
            samples=samples,
            purity=share,
            seed=seed,
            adapt=adapt,
            progress=progress,
        )
        amend_record(table, command=call().line)
        write_generated(table, out)
        if components is not None:
            found = generator.components(known)
            with replacing(components) as fresh:
                found.to_csv(fresh, index=False, float_format="%.4g")
            draw_components(found, components.with_suffix(".png"))
    _tell(table, known, site, out)


def _tell(table: AnnData, sets: GeneSets, site: str, out: Path) -> None:
    """Say what was generated, and how it differs from its primary."""
    from histoscribe.generator.result import change_table, gene_set_changes

    own, obs = record_of(table), table.obs
    facts = {
        "written": out,
        "synthetic": True,
        "samples": table.n_obs,
        "genes": table.n_vars,
        "cancer": str(obs["cancer"].iloc[0]),
        "site": site,
        "mean_purity": round(float(obs["purity"].mean()), 3),
        "pulled": round(float((obs["pulled"] > 0).mean()), 3),
        "model": own.model_sha256,
        "seconds": call().seconds,
        "notice": own.notice,
    }
    changes = change_table(table).head(_SHOWN).rename_axis("gene")
    in_sets = gene_set_changes(table, sets).rename_axis("gene_set")
    most = changes[["primary", "generated", "change"]].itertuples(name=None)
    most_in_sets = in_sets.head(_SHOWN)[["change", "genes"]].itertuples(name=None)
    caution(own.notes)
    answer(
        "Generated",
        facts,
        (("gene", "primary", "generated", "log2 change"), most),
        (("gene set", "log2 change", "genes"), most_in_sets),
        notes=list(own.notes),
        genes_changed=changes.reset_index().to_dict("records"),
        gene_sets_changed=in_sets.reset_index().to_dict("records"),
    )
    if not call().as_json:
        caution([f"{own.notice}."])


def read_purity(text: str | None) -> float | tuple[float, float] | None:
    """A share, bounds with a hyphen between, or None; raises `SettingError` if it is neither."""
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split("-")]
    except ValueError:
        parts = []
    if len(parts) not in (1, 2):
        remedy = "give 0.6, or bounds like 0.4-0.8"
        raise SettingError(f"{text!r} is no purity", where="--purity", remedy=remedy)
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def _parent(path: Path, section: str | None, region: Path | None) -> BulkTable:
    """A bulk table as it is, a section (or a region of it) as the pseudo-bulk of its spots."""
    from histoscribe.bulk import BulkTable
    from histoscribe.generator.parents import pseudo_bulk
    from histoscribe.tiles import read_regions, region_at

    opened = open_samples(path, section=section)
    if isinstance(opened, BulkTable):
        refuse_given("a bulk table has no regions", path, region=region)
        return opened
    rows = None if region is None else region_at(read_regions(region), opened.centres) >= 0
    return pseudo_bulk(opened, rows)
