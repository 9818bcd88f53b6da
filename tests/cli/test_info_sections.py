"""What `info` says of sections: how the slide fits, and what else a run holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from histoscribe.section import open_section
from histoscribe.simulate.section import simulate_section
from runs.hd import simulate_hd
from runs.spaceranger import write_spaceranger
from runs.spaceranger_hd import write_spaceranger_hd


def cohort(folder: Path, slide: Path) -> Path:
    table = folder / f"{slide.stem}.csv"
    table.write_text(f"section,patient,path,slide\nS,P,run,{slide.name}\n")
    return table


def test_all_three_verdicts_of_the_alignment(shell: Callable, tmp_path: Path) -> None:
    section = simulate_section(3, name="S", genes=20, size_um=700.0, mpp=1.0)
    write_spaceranger(section, tmp_path / "run", hires_px=300)
    pixels = np.asarray(section.slide.levels[0].pixels[:])
    right, finer, other = (tmp_path / f"{name}.tif" for name in ("right", "finer", "other"))
    tifffile.imwrite(right, pixels, tile=(256, 256), photometric="rgb")
    with tifffile.TiffWriter(finer) as tiff:
        tiff.write(pixels.repeat(2, 0).repeat(2, 1), tile=(256, 256), photometric="rgb")
        tiff.write(pixels, tile=(256, 256), photometric="rgb", subfiletype=1)
    tifffile.imwrite(other, pixels[:400], tile=(256, 256), photometric="rgb")

    (fits,) = json.loads(shell("info", cohort(tmp_path, right), "--json").stdout)["sections"]
    assert fits["alignment"] == "fits"
    (scaled,) = json.loads(shell("info", cohort(tmp_path, finer), "--json").stdout)["sections"]
    assert scaled["alignment"] == "fits level 1 (1/2)"
    assert scaled["mpp"] * 2 == fits["mpp"]
    assert any("placed on level 1 of this slide" in warning for warning in scaled["warnings"])
    refused = shell("info", cohort(tmp_path, other))
    assert refused.exit_code == 2
    assert "the slide does not fit" in refused.stderr


def test_what_else_a_visium_hd_run_holds(shell: Callable, tmp_path: Path) -> None:
    write_spaceranger_hd(simulate_hd(1, genes=20, mpp=2.0), tmp_path / "hd" / "outs", hires_px=150)
    facts = json.loads(shell("info", tmp_path / "hd", "--json").stdout)
    assert (facts["name"], facts["spot_um"]) == ("hd", 8)
    assert (facts["bins_um"], facts["segmented_cells"]) == ([2, 8, 16], True)
    cells = json.loads(shell("info", tmp_path / "hd/outs/segmented_outputs", "--json").stdout)
    assert cells["spots"] == open_section(tmp_path / "hd/outs/segmented_outputs").table.n_obs
    assert "bins_um" not in cells
