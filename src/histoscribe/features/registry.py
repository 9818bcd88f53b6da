"""Encoders by name: our own, fetched ones, folders, and those of other packages.

Another package offers an encoder by an entry point of the group `histoscribe.encoders`: its name is the
encoder's, and it points to a callable that takes `device` and makes a `TileEncoder`. The encoder's own
`name`, which cards and feature stores keep, is the entry point's, with `@` and a version or hash behind it
where its descriptors may change.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from histoscribe.errors import DependencyError, ModelError, SettingError, told_as
from histoscribe.features.builtin.encoder import BuiltinEncoder
from histoscribe.features.encoder import TileEncoder
from histoscribe.features.networks.catalogue import PUBLISHED, published_name
from histoscribe.features.networks.fetching import encoders_folder
from histoscribe.features.texture.encoder import JoinedEncoder, TextureEncoder

OWN: dict[str, Callable[[str], BuiltinEncoder | TextureEncoder | JoinedEncoder]] = {
    "builtin": lambda device: BuiltinEncoder(),
    "texture": TextureEncoder,
    "both": JoinedEncoder,
}
"""What comes along: by name, how it is made from the name of a device."""

# A card keeps the full name with its version; the short one means the present version.
_FULL = {BuiltinEncoder.name: "builtin", TextureEncoder.name: "texture", JoinedEncoder.name: "both"}

GROUP = "histoscribe.encoders"

_FOLDERS: dict[str, Path] = {}  # hash → folder of those that were named in this process


def encoder_named(name: str, *, device: str = "auto") -> TileEncoder:
    """Make an encoder from the name that a card or the user gives.

    Parameters
    ----------
    name : str
        `builtin`, `texture` or `both`, which come along; a published encoder that has been fetched; an
        encoder of another package; a folder with safetensors; or the last name of such a folder with `@`
        and the hash of its files, as a card keeps it: it is found where encoders are fetched to, or if
        this process has opened it before.
    device : str
        Where it computes: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises
    ------
    SettingError
        If there is no such encoder.
    ModelError
        If it has not been fetched, is damaged, or its files are not those of the hash.
    DependencyError
        If the package that builds or offers it is not installed or does not work.
    """
    if (own := _FULL.get(name, name)) in OWN:
        return OWN[own](device)
    name = name if Path(name).is_dir() else published_name(name)
    short, _, digest = name.partition("@")
    if short not in PUBLISHED and (offered := entry_points(group=GROUP, name=short)):
        return _offered(next(iter(offered)), name, device)
    folder = _FOLDERS.get(digest, encoders_folder() / short)
    if name not in PUBLISHED and Path(name).is_dir():
        folder, digest = Path(name), ""
    if not folder.is_dir():
        raise _absent(name, short)
    from histoscribe.features.networks.network import network_encoder

    encoder = network_encoder(folder, device=device)
    if digest and not same_encoder(encoder.name, name):
        remedy = "describe and train again with it, or give the other one's folder with --encoder"
        raise ModelError(f"the {short} that is here is {encoder.name}", where=name, remedy=remedy)
    _FOLDERS[encoder.name.partition("@")[2]] = folder
    return encoder


def _offered(entry: EntryPoint, name: str, device: str) -> TileEncoder:
    package = entry.dist.name if entry.dist else entry.value
    remedy = f"mend or update {package}"
    problem = f"the encoder {entry.name} of the package {package} cannot be made"
    with told_as(DependencyError, problem, Exception, where=entry.value, remedy=remedy):
        encoder = entry.load()(device=device)
    if not isinstance(encoder, TileEncoder) or encoder.name.partition("@")[0] != entry.name:
        problem = f"what the package {package} offers as {entry.name} is no tile encoder of this name"
        raise ModelError(problem, where=entry.value, remedy=remedy)
    if "@" in name and encoder.name != name:
        remedy = f"install the {package} that the model learned with, or describe and train again"
        raise ModelError(f"the {entry.name} that is here is {encoder.name}", where=name, remedy=remedy)
    return encoder


def same_encoder(one: str, other: str) -> bool:
    """Whether two names mean the same descriptors: the hash decides, not what a folder is called."""
    first, second = one.partition("@")[2], other.partition("@")[2]
    return first == second if first and second else one == other


def _absent(name: str, short: str) -> Exception:
    if short in PUBLISHED:
        published = PUBLISHED[short]
        problem = f"this encoder is not here (licence: {published.licence})"
        return ModelError(problem, where=name, remedy=f"histoscribe fetch {short}")
    if "@" in name:
        problem = "this encoder came from a folder or a package that is not known here"
        remedy = "give that folder with --encoder, or install that package"
        return ModelError(problem, where=name, remedy=remedy)
    known = ", ".join([*OWN, *PUBLISHED, *sorted(entry_points(group=GROUP).names)])
    return SettingError("there is no such encoder", where=name, remedy=f"choose one of: {known}; or a folder")
