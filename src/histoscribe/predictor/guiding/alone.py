"""A section that teaches itself, without a model: between its spots and beyond them."""

from collections.abc import Sequence

from anndata import AnnData

from histoscribe.arrays import Wide
from histoscribe.features import TileEncoder
from histoscribe.predictor.encoded import encode_section
from histoscribe.predictor.guiding.guide import Guide
from histoscribe.predictor.output import section_of
from histoscribe.predictor.target import PANEL_SIZE, TARGET, choose_panel
from histoscribe.progress import Progress
from histoscribe.record import Record
from histoscribe.section import Section, flip
from histoscribe.tiles import Region, grid_tiles, sample_tiles, spot_tiles


def predict_itself(
    section: Section,
    *,
    encoder: TileEncoder | None = None,
    panel: Sequence[str] | None = None,
    pitch_um: float | None = None,
    region: Sequence[Region | Wide] | None = None,
    progress: Progress | None = None,
) -> Section:
    """Predict a section's slide from the section's own measured spots.

    Parameters
    ----------
    section : Section
        With a slide, and 8 spots with counts or more.
    encoder : TileEncoder, optional
        The built-in one if not given.
    panel : sequence of str, optional
        The genes; the 250 most variable ones of the section if not given.
    pitch_um : float, optional
        Of a grid over the slide's tissue or the region; where neither is given, the spots are predicted.
    region : sequence of Region or ndarray, optional
        As in `tiles.grid_tiles`.

    Returns
    -------
    Section
        As `Predictor.guided` gives it, without what a model says of tiles: see `Guidance.write_into`.

    Raises
    ------
    SectionError
        If the section has no slide, or too few spots with counts.
    TableError
        If a gene of the panel is not in its table.
    """
    from histoscribe.features import encode_tiles, encoder_named

    chosen = encoder or encoder_named("builtin")
    guide = Guide(encode_section(section, chosen, crops=True, progress=progress))
    slide = section.scaled_slide
    genes = list(panel or choose_panel([guide.given], PANEL_SIZE))
    pitch = pitch_um or section.spacing_um
    own = pitch_um is None and region is None
    tiles = spot_tiles(section) if own else grid_tiles(slide, pitch, region=region)
    features = encode_tiles(slide, tiles, chosen, progress=progress)
    whole = None
    if region is not None:
        whole = encode_tiles(slide, sample_tiles(slide, section.spacing_um), chosen)
    guidance = guide.alone(genes, features, tiles.centres * section.mpp, whole)
    table = AnnData(guidance.expression, obsm={"spatial": flip(tiles.centres)})
    table.obs_names, table.var_names = list(tiles.names), genes
    rule = f"{len(genes)} {'named genes' if panel else 'most variable genes of the section'}"
    record = Record("predicted", encoder=chosen.name, target=TARGET, panel_rule=rule)
    found = section_of(table, slide, tiles, record, section.name, section.patient)
    guidance.write_into(found)
    return found
