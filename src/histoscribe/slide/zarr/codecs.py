"""Unfolding the compressed chunks of a zarr store, never to more than a chunk holds."""

from __future__ import annotations

import struct
import zlib

KNOWN = ("blosc", "zstd", "gzip", "zlib", "lz4", "crc32c")
"""Names of the codecs that can be unfolded within bounds."""


def unfold(codec: str, data: bytes, most: int) -> bytes:
    """Decode one layer of packing, never to more than `most` bytes and what a checksum adds.

    Raises
    ------
    ValueError
        If it is damaged, or unfolds to more.
    """
    import imagecodecs
    from google_crc32c import value as crc32c

    room = most + 4096
    try:
        match codec:
            case "crc32c":
                content, stated = data[:-4], data[-4:]
                if len(stated) < 4 or struct.pack("<I", crc32c(content)) != stated:
                    raise ValueError("the checksum does not fit")
                return content
            case "gzip" | "zlib":
                stream = zlib.decompressobj(wbits=47)
                content = stream.decompress(data, room)
                if not stream.eof:
                    raise ValueError("unfolds to more than its chunk, or is cut off")
                return content
            case "blosc":
                _check_claim(data[4:8], most)
                return bytes(imagecodecs.blosc_decode(data))
            case "lz4":
                _check_claim(data[:4], most)
                return bytes(imagecodecs.lz4_decode(data, header=True))
            case "zstd":
                return bytes(imagecodecs.zstd_decode(data, out=room))
    except (RuntimeError, zlib.error) as error:
        raise ValueError(f"{codec}: {error}") from error
    raise ValueError(f"packed with {codec}")


def _check_claim(four: bytes, most: int) -> None:
    if len(four) < 4 or struct.unpack("<I", four)[0] > most:
        raise ValueError("claims to unfold to more than its chunk")
