from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import histoscribe.section
from histoscribe.errors import SectionError
from histoscribe.section import open_section


def test_importing_the_folder_is_light() -> None:
    script = (
        "import sys, histoscribe.section\n"
        "heavy = {'anndata', 'scanpy', 'squidpy', 'pandas', 'scipy', 'h5py', 'zarr', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in histoscribe.section.__all__:
        assert getattr(histoscribe.section, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        histoscribe.section.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"hello world\n", "not a section in a known format"),
        (b"\xff\xd8\xff\xe0", "this is a slide, not a section"),
        (bytes(range(256)) * 40, "not a section in a known format"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file.bin").write_bytes(content)
    with pytest.raises(SectionError, match=says):
        open_section(tmp_path / "file.bin")


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SectionError, match="no Space Ranger run"):
        open_section(tmp_path)
    with pytest.raises(SectionError, match="there is no such file or folder"):
        open_section(tmp_path / "none")


def test_an_empty_feature_slice_is_refused(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "feature_slice.h5", "w") as file:
        file.create_group("feature_slices")
    with pytest.raises(SectionError, match="does not say how many bins"):
        open_section(tmp_path / "feature_slice.h5")
