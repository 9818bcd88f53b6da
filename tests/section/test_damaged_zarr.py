"""Damaged and hostile SpatialData folders: each mutator's docstring is part of the expected sentence."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from histoscribe.errors import SectionError
from histoscribe.section import open_section, write_section

pytest.importorskip("spatialdata")
X = "tables/table/X/data/zarr.json"


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change metadata, and forget their consolidated copy."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    if name != "zarr.json":
        edit(folder, "zarr.json", lambda root: root.pop("consolidated_metadata", None))


def unsharded(content: dict[str, Any]) -> None:
    """State that each chunk is a file; anndata writes shards or not, by its version."""
    if content["codecs"][0]["name"] == "sharding_indexed":
        content["codecs"] = content["codecs"][0]["configuration"]["codecs"]


def link_out(folder: Path) -> None:
    """shapes/run/shapes.parquet is a link out of the folder"""
    target = folder / "shapes/run/shapes.parquet"
    shutil.copy(target, folder.parent / "elsewhere.parquet")
    target.unlink()
    target.symlink_to(folder.parent / "elsewhere.parquet")


def linked_folder(folder: Path) -> None:
    """images is a link out of the folder"""
    shutil.move(folder / "images", folder.parent / "images")
    (folder / "images").symlink_to(folder.parent / "images")


def level_path_upwards(folder: Path) -> None:
    """names a place outside the folder (../../../secret)"""

    def change(content: dict[str, Any]) -> None:
        content["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "../../../secret"

    edit(folder, "images/run_image/zarr.json", change)


def level_path_absolute(folder: Path) -> None:
    """names a place outside the folder (/etc)"""

    def change(content: dict[str, Any]) -> None:
        content["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "/etc"

    edit(folder, "images/run_image/zarr.json", change)


def consolidated_key_upwards(folder: Path) -> None:
    """names a place outside the folder (../secret)"""

    def change(content: dict[str, Any]) -> None:
        content["consolidated_metadata"]["metadata"]["../secret"] = {"node_type": "group"}

    edit(folder, "zarr.json", change)


def pickled(folder: Path) -> None:
    """is packed with 'pickle', which is not known to be harmless"""
    edit(folder, X, lambda content: content["codecs"].append({"name": "pickle", "configuration": {}}))


def pickled_within_shards(folder: Path) -> None:
    """is packed with 'numcodecs.pickle'"""
    inner = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "numcodecs.pickle"}]}}
    edit(folder, X, lambda content: content["codecs"].append(inner))


def old_array_with_pickled_objects(folder: Path) -> None:
    """is packed with 'pickle'"""
    described = {"zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "|O", "filters": [{"id": "pickle"}]}
    (folder / "tables/table/old").mkdir()
    (folder / "tables/table/old/.zarray").write_text(json.dumps(described))


def consolidated_pickle(folder: Path) -> None:
    """is packed with 'pickle'"""

    def change(content: dict[str, Any]) -> None:
        content["consolidated_metadata"]["metadata"]["tables/table/X/data"]["codecs"].append(
            {"name": "pickle"}
        )

    edit(folder, "zarr.json", change)


def giant_table(folder: Path) -> None:
    """its tables claim far more values"""
    edit(folder, X, lambda content: content.update(shape=[10**13]))


def giant_chunk(folder: Path) -> None:
    """has chunks of"""

    def change(content: dict[str, Any]) -> None:
        content["chunk_grid"]["configuration"]["chunk_shape"] = [10**10]

    edit(folder, X, change)


def negative_shape(folder: Path) -> None:
    """states no valid shape"""
    edit(folder, X, lambda content: content.update(shape=[-4]))


def bomb(folder: Path) -> None:
    """tables/table/X/data/c/0 would unfold to far more"""
    from numcodecs import Zstd

    edit(folder, X, unsharded)
    packed = Zstd(9).encode(bytes(300 << 20))
    (folder / "tables/table/X/data/c/0").write_bytes(packed)


def bomb_under_another_name(folder: Path) -> None:
    """would unfold to far more"""
    pack = {"name": "gzip", "configuration": {"level": 9}}
    content = json.loads((folder / X).read_text())
    unsharded(content)
    content["codecs"][-1] = pack
    (folder / X).write_text(json.dumps(content))
    claim = b"\x28\xb5\x2f\xfd\xa0" + (1 << 31).to_bytes(4, "little")
    (folder / "tables/table/X/data/c/0").write_bytes(claim + bytes(40))


def bomb_of_unstated_size(folder: Path) -> None:
    """would unfold to far more"""
    edit(folder, X, unsharded)
    (folder / "tables/table/X/data/c/0").write_bytes(b"\x28\xb5\x2f\xfd\x00\x58" + bytes(40))


def bomb_in_gzip(folder: Path) -> None:
    """would unfold to far more"""
    pack = {"name": "gzip", "configuration": {"level": 9}}
    edit(folder, X, unsharded)
    edit(folder, X, lambda content: content.update(codecs=[content["codecs"][0], pack]))
    (folder / "tables/table/X/data/c/0").write_bytes(gzip.compress(bytes(300 << 20), 1))


def bomb_in_a_shard(folder: Path) -> None:
    """would unfold to far more"""

    def change(content: dict[str, Any]) -> None:
        unsharded(content)
        shape = content["chunk_grid"]["configuration"]["chunk_shape"]
        index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        inner = {"chunk_shape": shape, "codecs": content["codecs"], "index_codecs": index}
        content["codecs"] = [{"name": "sharding_indexed", "configuration": inner}]

    edit(folder, X, change)
    packed = b"\x28\xb5\x2f\xfd\xa0" + (1 << 31).to_bytes(4, "little") + bytes(40)
    index = struct.pack("<QQ", 0, len(packed))
    (folder / "tables/table/X/data/c/0").write_bytes(packed + index + bytes(4))


def metadata_cut(folder: Path) -> None:
    """tables/table/zarr.json is damaged"""
    path = folder / "tables/table/zarr.json"
    path.write_text(path.read_text()[:40])


def nested_to_death(folder: Path) -> None:
    """shapes/zarr.json is damaged"""
    (folder / "shapes/zarr.json").write_text("[" * 200_000)


def parquet_cut(folder: Path) -> None:
    """not a whole parquet file"""
    path = folder / "shapes/run/shapes.parquet"
    path.write_bytes(path.read_bytes()[:300])


def table_gone(folder: Path) -> None:
    """it holds no table"""
    shutil.rmtree(folder / "tables/table")
    edit(folder, "zarr.json", lambda content: content.pop("consolidated_metadata"))


def chunk_cut(folder: Path) -> None:
    """not a whole SpatialData folder"""
    path = folder / "tables/table/X/data/c/0"
    path.write_bytes(path.read_bytes()[:20])


def indices_lost(folder: Path) -> None:
    """not a whole SpatialData folder"""
    shutil.rmtree(folder / "tables/table/X/indices")
    edit(folder, "zarr.json", lambda content: content.pop("consolidated_metadata"))


def index_beyond_the_genes(folder: Path) -> None:
    """reach beyond"""
    import zarr

    zarr.open_array(folder / "tables/table/X/indices", mode="r+")[0] = 900


def negative_counts(folder: Path) -> None:
    """counts are negative"""
    import zarr

    zarr.open_array(folder / "tables/table/X/data", mode="r+")[0] = -1


def shapes_listed_twice(folder: Path) -> None:
    """shapes listed twice: 0"""
    import geopandas

    path = folder / "shapes/run/shapes.parquet"
    frame = geopandas.read_parquet(path)
    frame.index = [0, *frame.index[:-1]]
    frame.to_parquet(path)


def shapes_of_other_spots(folder: Path) -> None:
    """spots without a shape"""
    import geopandas

    path = folder / "shapes/run/shapes.parquet"
    frame = geopandas.read_parquet(path)
    frame.index = frame.index + 1000
    frame.to_parquet(path)


DAMAGES = [value for value in list(globals().values()) if getattr(value, "__doc__", None) and callable(value)]
OWN = [each for each in DAMAGES if getattr(each, "__module__", "") == __name__]
DAMAGES = [each for each in OWN if each not in (edit, unsharded)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[[Path], Any]) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return write_section(open_section(make_run(folder / "run").folder), folder / "run.zarr")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_named(damage: Callable[[Path], None], whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run.zarr"
    shutil.copytree(whole, folder)
    damage(folder)
    with pytest.raises(SectionError) as caught:
        open_section(folder)
    assert damage.__doc__ in str(caught.value)
    assert caught.value.where


def test_a_link_within_the_folder_is_fine(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run.zarr"
    shutil.copytree(whole, folder)
    (folder / "again").symlink_to("tables")
    assert open_section(folder).table.n_obs == 80


def test_an_image_that_lies_turned_is_left_out(whole: Path, tmp_path: Path) -> None:
    import spatialdata
    from spatialdata.transformations import Affine, set_transformation

    data = spatialdata.read_zarr(whole)
    turned = Affine([[0, 4.0, 0], [4.0, 0, 0], [0, 0, 1]], input_axes=("x", "y"), output_axes=("x", "y"))
    set_transformation(data["run_image"], {"global": turned}, set_all=True)
    del data["table"].uns["histoscribe"]
    data.write(tmp_path / "turned.zarr")
    section = open_section(tmp_path / "turned.zarr")
    assert section.slide is None
    assert any("lies turned or shifted on the spots" in warning for warning in section.warnings)
