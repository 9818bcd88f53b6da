from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import TableError
from histoscribe.generator import Cohort
from histoscribe.generator.parents import mix
from histoscribe.simulate.metastases import ORGANS, Bed, programme, simulate_metastases


def test_no_patient_is_in_two_parts(bed: Bed) -> None:
    patients = [set(part.patients.tolist()) for part in (bed.train, bed.parents, bed.test)]
    assert not patients[0] & patients[1]
    assert not patients[0] & patients[2]
    assert not patients[1] & patients[2]


def test_every_pair_is_there_except_a_cancer_in_its_own_organ(bed: Bed) -> None:
    met = bed.train.of("metastasis")
    pairs = set(zip(bed.train.cancers[met].tolist(), bed.train.sites[met].tolist(), strict=True))
    assert len(pairs) == 6
    assert all(ORGANS[cancer] != site for cancer, site in pairs)


def test_a_metastasis_is_its_primary_with_the_programme_and_the_tissue(bed: Bed) -> None:
    part = bed.test
    names = part.names.tolist()
    shift = programme(part.genes, np.random.default_rng(1))
    away = {"parents": [], "with programme": []}
    for row in part.of("metastasis"):
        name = names[row]
        tumour = part.values[names.index(bed.primary_of[name])]
        share = np.array([bed.purity[name]], dtype=np.float32)
        tissues = part.values[part.of("normal", site=str(part.sites[row]))]
        for kind, ours in (("parents", tumour), ("with programme", tumour + shift)):
            mixed = mix(np.repeat(ours[None], len(tissues), 0), tissues, np.repeat(share, len(tissues)))
            away[kind].append(np.abs(mixed - part.values[row]).mean(1).min())
    assert np.mean(away["with programme"]) < 0.6 * np.mean(away["parents"])


def test_same_seed_same_bed(tcga: Cohort, bed: Bed) -> None:
    again = simulate_metastases(tcga, sites=("liver", "lung"), per_pair=8, seed=1)
    other = simulate_metastases(tcga, sites=("liver", "lung"), per_pair=8, seed=2)
    assert np.array_equal(again.train.values, bed.train.values)
    assert not np.array_equal(again.train.names, other.train.names) or not np.array_equal(
        again.train.values, other.train.values
    )


def test_too_few_patients_are_said(tcga: Cohort) -> None:
    few = tcga.take((tcga.patients == "LIHC-0") | ~np.char.startswith(tcga.patients, "LIHC"))
    with pytest.raises(TableError, match="no patient is left"):
        simulate_metastases(few, sites=("liver",), per_pair=4)
