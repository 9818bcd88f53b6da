"""Every mistake a user can make: exit code 2, one clear sentence with a remedy, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import anndata
import numpy as np
import pytest

from histoscribe import files

BARCODES = [f"ACGT{number:04d}-1" for number in range(64)]


@pytest.fixture
def refused(shell, tmp_path, monkeypatch):
    """Run a verb that must refuse, and check how it does; return its sentence."""
    monkeypatch.delenv("HISTOSCRIBE_DEBUG", raising=False)

    def run(*words: object, says: str, remedy: str) -> str:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        result = shell(*words)
        assert result.exit_code == 2, (result.exit_code, result.stderr, result.exception)
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        sentences = [line for line in result.stderr.splitlines() if line.startswith("histoscribe: ")]
        assert len(sentences) == 1, result.stderr
        assert result.stderr.splitlines()[-1] == sentences[0]
        assert says in sentences[0]
        assert remedy in sentences[0]
        assert sentences[0].endswith(".")
        assert list(out.iterdir()) == []
        return sentences[0]

    return run


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def h5ad(path: Path, counts: np.ndarray, *, genes: str = "G") -> Path:
    """Write spots on an 8-wide lattice with these counts."""
    spots = len(counts)
    table = anndata.AnnData(counts.astype(np.float32))
    table.obs_names = BARCODES[:spots]
    table.var_names = [f"{genes}{number}" for number in range(counts.shape[1])]
    places = np.arange(spots)
    table.obsm["spatial"] = np.stack([places % 8, places // 8], axis=1) * 64.0 + 64
    factors = {"spot_diameter_fullres": 35.0, "tissue_hires_scalef": 1.0, "tissue_lowres_scalef": 0.3}
    table.uns["spatial"] = {"S": {"images": {}, "scalefactors": factors}}
    table.write_h5ad(path)
    return path


@pytest.mark.parametrize("verb", ["info", "predict"])
@pytest.mark.parametrize(
    "content", [b"", b"this is no slide", b"II*\0\x08\0\0\0\xff\xff", b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_no_slide(refused, verb, content, model, tmp_path, out):
    slide = tmp_path / "slide.svs"
    slide.write_bytes(content)
    words = ("info", slide) if verb == "info" else ("predict", model, slide, "--out", out / "p.h5ad")
    refused(*words, says="slide.svs", remedy=";")


def test_a_slide_without_um_per_pixel(refused, cohort, model, out):
    slide = cohort.parent / "S3.tif"
    refused("predict", model, slide, "--out", out / "p.h5ad", says="per pixel", remedy="--mpp")


def test_a_scale_for_what_brings_its_own(refused, cohort, model, out):
    words = ("predict", model, cohort, "--section", "P1A", "--mpp", "0.5", "--out", out / "p.h5ad")
    refused(*words, says="scale comes with its spots", remedy="--mpp")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("classify TABLE --mpp 0.5 --store OUT --out OUT/t.csv", "leave --mpp and --store out"),
        ("classify TABLE --attention OUT/a.h5ad --out OUT/t.csv", "leave --attention out"),
        ("classify SECTION --scale log2 --out OUT/t.csv", "leave --scale out"),
        ("classify SECTION --together --out OUT/t.csv", "leave --together out"),
        ("impute SECTION --scale log2 --out OUT/t.csv", "leave --scale out"),
        ("impute SECTION --section S1 --out OUT/t.csv", "one section, not a cohort; leave --section out"),
        ("compare SECTION SECTION --section S1 --out OUT/r.html", "leave --section out"),
        ("convert SLIDE OUT/s.ome.tif --gene G1 --mpp 1", "a slide has no genes; leave --gene out"),
        ("convert SLIDE OUT/s.ome.tif --section S1", "a slide, not a cohort; leave --section out"),
        ("convert SECTION OUT/s.h5ad --quality 80", "leave --quality out"),
        ("convert SECTION OUT/s.h5ad --gene G1", "only a .csv leaves genes out; leave --gene out"),
        ("predict MODEL SECTION --section S1 --out OUT/p.h5ad", "leave --section out"),
        ("align SECTION SLIDE --mpp 1 --freedom affine --out OUT/a.h5ad", "leave --freedom out"),
        ("programmes TABLE --region R --out OUT/m", "leave --region out"),
        ("programmes TABLE --model M --number 3 --only a=b --out OUT/p.csv", "leave --only and --number out"),
        ("programmes SECTION --samples TABLE --patient p --out OUT/m", "leave --samples and --patient out"),
        (
            "generate --primary TABLE --site liver --normal-region R --out OUT/g.csv",
            "leave --normal-region out",
        ),
    ],
)
def test_an_option_that_has_no_say_is_not_passed_over(words, says, refused, cohort, model, tmp_path, out):
    table = tmp_path / "table.csv"
    table.write_text("sample,KRT5,TP53,EGFR\na,1,2,3\nb,4,5,6\n")
    places = {"TABLE": table, "SLIDE": cohort.parent / "S1.tif", "MODEL": model, "OUT": out}
    if "SECTION" in words:
        places["SECTION"] = h5ad(tmp_path / "section.h5ad", np.ones((64, 5)))
    for name, place in places.items():
        words = words.replace(name, str(place))
    refused(*words.split(), says=says.split(";")[0], remedy=says)


def test_a_space_ranger_folder_without_positions(refused, space_ranger, model, tmp_path, out):
    folder = space_ranger(tmp_path / "outs", barcodes=BARCODES, placed=None)
    refused("info", folder, says="positions", remedy="tissue_positions")
    refused("predict", model, folder, "--out", out / "p.h5ad", says="positions", remedy="tissue_positions")


def test_counts_and_positions_that_do_not_join(refused, space_ranger, tmp_path):
    folder = space_ranger(tmp_path / "outs", barcodes=BARCODES, placed=[name + "x" for name in BARCODES])
    refused("info", folder, says="ACGT0000-1x", remedy="of the same Space Ranger run")


def test_legacy_counts_and_positions_that_do_not_join(refused, cohort, tmp_path, out):
    for name in ("S1.tsv.gz", "S1.tif", "cohort.csv"):
        shutil.copy(cohort.parent / name, tmp_path)
    positions = (cohort.parent / "S1_spots.tsv").read_text().splitlines()
    moved = [line.split("\t") for line in positions[1:]]
    lines = [positions[0], *("\t".join([f"{float(x) + 90}", *rest]) for x, *rest in moved)]
    (tmp_path / "S1_spots.tsv").write_text("\n".join(lines) + "\n")
    table = (tmp_path / "cohort.csv").read_text().splitlines()
    (tmp_path / "cohort.csv").write_text("\n".join(table[:2]) + "\n")
    refused("info", tmp_path / "cohort.csv", says="S1", remedy=";")


def test_no_common_gene_between_model_and_table(refused, cohort, model, tmp_path, out):
    panel = tmp_path / "panel.txt"
    panel.write_text("OTHER1\nOTHER2\n")
    words = ("train", "predictor", cohort, "--panel", panel, "--store", tmp_path / "store")
    refused(*words, "--out", out / "model", says="OTHER1", remedy=";")
    assert not (tmp_path / "store").exists(), "sections were described in vain"


def test_no_common_gene_between_measured_and_predicted(refused, cohort, model, shell, tmp_path, out):
    predicted = tmp_path / "p.h5ad"
    assert shell("predict", model, cohort, "--section", "S3", "--out", predicted).exit_code == 0
    other = h5ad(tmp_path / "other.h5ad", np.ones((64, 5)), genes="OTHER")
    refused("compare", other, predicted, "--out", out / "r.html", says="gene", remedy=";")


@pytest.mark.parametrize("bad", [np.nan, -1.0, np.inf])
def test_counts_that_are_no_counts(refused, bad, tmp_path, out):
    counts = np.ones((64, 5))
    counts[3, 2] = bad
    refused("info", h5ad(tmp_path / "bad.h5ad", counts), says="count", remedy=";")


def test_an_empty_section(refused, tmp_path):
    refused("info", h5ad(tmp_path / "empty.h5ad", np.ones((0, 5))), says="spot", remedy=";")


def test_a_file_that_is_no_table(refused, tmp_path):
    path = tmp_path / "broken.h5ad"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    refused("info", path, says="broken.h5ad", remedy=";")


@pytest.mark.parametrize("column", ["path", "positions", "slide"])
def test_a_cohort_that_names_a_missing_file(refused, column, cohort, tmp_path, out):
    shutil.copytree(cohort.parent, tmp_path / "c")
    victim = {"path": "S2.tsv.gz", "positions": "S2_spots.tsv", "slide": "S2.tif"}[column]
    (tmp_path / "c" / victim).unlink()
    words = ("train", "predictor", tmp_path / "c" / "cohort.csv", "--out", out / "model")
    refused(*words, says=victim, remedy=";")


@pytest.mark.parametrize(
    "content", ["", "a,b\n1,2\n", "section,patient,path\n", "section,patient,path\nS,P\n"]
)
def test_a_cohort_that_is_no_cohort(refused, content, tmp_path, out):
    path = tmp_path / "cohort.csv"
    path.write_text(content)
    refused("train", "predictor", path, "--out", out / "model", says="cohort.csv", remedy=";")


def test_section_names_that_are_not_in_the_cohort(refused, cohort, model, out):
    words = ("train", "predictor", cohort, "--exclude", "S9", "--out", out / "model")
    refused(*words, says="S9", remedy="S1, S2, S3")
    words = ("predict", model, cohort, "--section", "S9", "--out", out / "p.h5ad")
    refused(*words, says="S9", remedy="S1, S2, S3")
    refused("predict", model, cohort, "--out", out / "p.h5ad", says="several targets", remedy="--section")


def test_an_unknown_encoder_variant_or_device(refused, cohort, out):
    words = ("train", "predictor", cohort, "--out", out / "model")
    refused(*words, "--encoder", "resnet9000", says="resnet9000", remedy="builtin")
    refused(*words, "--variant", "nonsense", says="nonsense", remedy="histoscribe")
    refused(*words, "--device", "abacus", says="abacus", remedy="cpu")


def test_a_model_with_a_wrong_checksum(refused, cohort, model, tmp_path, out):
    damaged = tmp_path / "model"
    shutil.copytree(model, damaged)
    content = bytearray((damaged / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "weights.safetensors").write_bytes(content)
    words = ("predict", damaged, cohort, "--section", "S3", "--out", out / "p.h5ad")
    refused(*words, says="checksum", remedy="anew")


def test_a_model_that_is_none(refused, cohort, tmp_path, out):
    words = (cohort, "--section", "S3", "--out", out / "p.h5ad")
    refused("predict", tmp_path / "gone", *words, says="gone", remedy=";")
    (tmp_path / "empty").mkdir()
    refused("predict", tmp_path / "empty", *words, says="card.json", remedy=";")


def test_a_region_file_that_is_none(refused, cohort, model, tmp_path, out):
    region = tmp_path / "roi.geojson"
    words = ("predict", model, cohort, "--section", "S3", "--region", region, "--out", out / "p.h5ad")
    refused(*words, says="roi.geojson", remedy=";")
    region.write_text("{")
    refused(*words, says="roi.geojson", remedy=";")
    region.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    refused(*words, says="roi.geojson", remedy=";")


def test_gene_lists_that_are_none(refused, cohort, tmp_path, out):
    panel = tmp_path / "panel.txt"
    words = ("train", "predictor", cohort, "--panel", panel, "--out", out / "model")
    refused(*words, says="panel.txt", remedy="one gene a line")
    panel.write_text("# only words\n\n")
    refused(*words, says="empty", remedy="one gene a line")
    panel.write_text("G1\nG2\nG1\n")
    refused(*words, says="G1 named twice", remedy="once")


@pytest.mark.slow
def test_no_space_left(refused, cohort, model, monkeypatch, out):
    def full(*names: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(names[-1]))

    monkeypatch.setattr(files.os, "replace", full)
    predict = ("predict", model, cohort, "--section", "S3", "--out", out / "p.h5ad")
    refused(*predict, says="no space left", remedy="free some space")
    train = ("train", "predictor", cohort, "--epochs", 1, "--encoder", "builtin", "--out", out / "model")
    with pytest.raises(AssertionError, match=r"model\.training"):  # what was learned is kept, to go on from
        refused(*train, says="no space left", remedy="free some space")
    assert [path.name for path in out.iterdir()] == ["model.training"]


def test_a_view_without_a_screen(refused, cohort, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    refused("view", cohort, says="napari", remedy=";")


@pytest.mark.parametrize("verb", ["info", "convert", "compare", "impute", "predict"])
def test_a_loop_of_links_is_the_users_to_mend(shell, tmp_path, verb):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).symlink_to(tmp_path / other)
    loop, out = tmp_path / "a", tmp_path / "out.h5ad"
    words = {
        "info": (loop,),
        "convert": (loop, out),
        "compare": (loop, loop, "--out", tmp_path / "out.html"),
        "impute": (loop, "--model", "imputer-tcga11", "--out", out),
        "predict": ("her2st-breast", loop, "--out", out),
    }
    result = shell(verb, *words[verb])
    assert result.exit_code == 2, result.stderr
    assert "Too many levels of symbolic links" in result.stderr
