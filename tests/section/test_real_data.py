"""The sections that everyone measures on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histoscribe.section import Section, open_section, read_cohort
from histoscribe.section.readers.tenx import read_tenx_h5

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


@pytest.fixture(scope="module")
def her2st(real_data: Path) -> list[Section]:
    """All five sections."""
    return read_cohort(real_data / "her2st" / "cohort.csv")


def test_her2st(her2st: list[Section], real_data: Path) -> None:
    import pandas as pd

    sections = {section.name: section for section in her2st}
    spots = {name: section.table.n_obs for name, section in sections.items()}
    assert spots == {"B4": 283, "C2": 187, "C3": 180, "C4": 184, "C5": 181}
    assert [section.patient for section in sections.values()] == ["B", "C", "C", "C", "C"]
    for section in sections.values():
        assert section.mpp == pytest.approx(200 / 291, rel=0.01)
        assert section.pitch_um == 200.0
        assert section.slide is not None
        assert (section.centres < section.slide.shape).all()
    section = sections["B4"]
    frame = pd.read_csv(real_data / "her2st" / "B4.tsv.gz", sep="\t", index_col=0)
    assert section.table.obs_names.tolist() == frame.index.tolist()
    assert section.genes == frame.columns.tolist()
    np.testing.assert_array_equal(section.table.X.toarray(), frame.to_numpy())
    row = section.table.obs_names.get_loc("9x13")
    np.testing.assert_allclose(section.centres[row], [3500.48, 2307.86])
    assert section.warnings == ("1 of 284 selected positions have no counts and were left out",)


def test_spots_of_her2st_lie_on_tissue(her2st: list[Section]) -> None:
    section = her2st[0]
    assert section.slide is not None
    level = section.slide.levels[-1]
    image = np.asarray(level.pixels[:]).astype(float)
    places = (section.centres / level.downsample).astype(int)
    beneath = image[places[:, 0], places[:, 1]].mean()
    swapped = image[places[:, 1], places[:, 0]].mean()
    assert beneath < image.mean() - 5
    assert beneath < swapped


def test_mouse_olfactory_bulb(real_data: Path) -> None:
    first, second = read_cohort(real_data / "mob" / "cohort.csv")
    assert (first.table.shape, second.table.shape) == ((379, 1000), (438, 1000))
    assert (first.patient, second.patient) == ("animal1", "animal2")
    for section in (first, second):
        assert section.mpp == pytest.approx(4.39, abs=0.02)
        assert any("checkerboard" in warning for warning in section.warnings)


def test_space_ranger_1_as_scanpy_reads_it(real_data: Path) -> None:
    import scanpy

    folder = real_data / "visium" / "1.0.0"
    theirs = scanpy.read_visium(folder)
    section = open_section(folder)
    assert section.table.obs_names.tolist() == theirs.obs_names[theirs.obs["in_tissue"] == 1].tolist()
    theirs = theirs[section.table.obs_names]
    np.testing.assert_array_equal(section.table.X.toarray(), theirs.X.toarray())
    np.testing.assert_array_equal(section.table.obsm["spatial"], theirs.obsm["spatial"].astype(float))
    assert section.mpp == pytest.approx(0.725, abs=0.002)
    assert section.slide is not None
    assert section.slide.shape == (13332, 13332)
    assert section.warnings == ()


def test_probes_are_added_up_by_gene(real_data: Path) -> None:
    import h5py
    import scanpy

    path = real_data / "visium" / "2.1.0" / "raw_probe_bc_matrix.h5"
    counts, theirs = read_tenx_h5(path), scanpy.read_10x_h5(path)
    with h5py.File(path) as file:
        used = file["matrix/features/filtered_probes"][:]
        genes = file["matrix/features/gene_id"][:].astype(str)
    assert list(counts.spots) == theirs.obs_names.tolist()
    assert counts.gene_ids is not None
    assert len(set(counts.gene_ids)) == len(counts.gene_ids)
    assert set(counts.gene_ids) == set(genes)
    probes = theirs.X.toarray()
    for column, gene in enumerate(counts.gene_ids):
        wanted = probes[:, (genes == gene) & used].sum(axis=1)
        np.testing.assert_array_equal(counts.matrix[:, [column]].toarray().ravel(), wanted)
    assert any("probes were added up by gene" in warning for warning in counts.warnings)
