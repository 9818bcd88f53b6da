"""Evidence: small crops of the reference spots that a prediction was retrieved from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.arrays import Numbers, Pixels
from histoscribe.errors import ModelError
from histoscribe.record import record_of

if TYPE_CHECKING:
    from anndata import AnnData

SIDE = 48
MOST = 20_000
_QUALITY = 85
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops of reference spots as JPEG pictures, one behind the other."""

    data: Pixels
    """Shape (bytes,)."""
    ends: Numbers
    """Where each picture ends in `data`, shape (crops,)."""

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> Pixels:
        """One crop, shape (48, 48, 3), RGB.

        Raises `ModelError` if there is none of this number, or it is damaged.
        """
        import imagecodecs

        picture = self._bytes(number)
        out = np.empty((SIDE, SIDE, 3), dtype=np.uint8)
        try:
            # A picture that claims another size is refused before its pixels are made.
            imagecodecs.jpeg8_decode(picture, out=out)
        except (ValueError, imagecodecs.Jpeg8Error) as error:
            raise ModelError("a reference crop is damaged", remedy="fetch the model anew") from error
        return out

    def some(self, numbers: Sequence[int] | Numbers) -> Crops:
        """Only these crops, in this order."""
        return Crops.joined([self._bytes(int(number)) for number in numbers])

    def _bytes(self, number: int) -> bytes:
        if not 0 <= number < len(self.ends):
            raise ModelError(f"there is no reference crop {number}", remedy="use the model's own evidence")
        start = int(self.ends[number - 1]) if number else 0
        stop = int(self.ends[number])
        if not 0 <= start < stop <= len(self.data) or stop - start > _MOST_BYTES:
            raise ModelError("a reference crop is damaged", remedy="fetch the model anew")
        return self.data[start:stop].tobytes()

    @classmethod
    def joined(cls, pictures: Sequence[bytes]) -> Crops:
        """Put encoded pictures one behind the other."""
        ends = np.cumsum([len(picture) for picture in pictures], dtype=np.int64)
        return cls(np.frombuffer(b"".join(pictures), dtype=np.uint8), ends)


def pack_crops(crops: Pixels) -> Crops:
    """Encode crops (n, 48, 48, 3)."""
    import imagecodecs

    return Crops.joined(
        [bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(crop), level=_QUALITY)) for crop in crops]
    )


def evidence_of(table: AnnData, row: int) -> list[tuple[str, str, float, Pixels | None]]:
    """The reference spots behind one predicted tile, weightiest first.

    Parameters
    ----------
    table : AnnData
        As `Predictor.predict` gives it, or read back from its h5ad file.

    Returns
    -------
    list of (section, spot, share, crop)
        `crop` is RGB of shape (48, 48, 3) and as wide as the encoder's crop; None where the model
        keeps no crops. Of a guided prediction the given spots are among them, by their pull on the tile.

    Raises
    ------
    ModelError
        If the table holds no evidence.
    """
    kept = record_of(table).evidence
    if "evidence" not in table.obsm or kept is None:
        raise ModelError("this table says nothing of reference spots", remedy="predict it anew")
    crops: dict[int, Pixels] = {}
    if kept.crops is not None:
        packed = Crops(np.asarray(kept.crops), np.asarray(kept.crop_ends))
        numbers = table.obsm["evidence"][row]
        place = {int(number): at for at, number in enumerate(kept.crop_of)}
        crops = {int(number): packed[place[int(number)]] for number in numbers if int(number) in place}
    found = []
    for number, share in zip(table.obsm["evidence"][row], table.obsm["evidence_weight"][row], strict=True):
        section, spot = str(kept.section[number]), str(kept.spot[number])
        found.append((section, spot, float(share), crops.get(int(number))))
    return found
