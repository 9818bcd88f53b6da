"""What other libraries' errors say, as a clause for a sentence of ours."""

from __future__ import annotations

_LONGEST = 200


def reason_of(error: BaseException) -> str:
    """The error's own words on one short line without control characters; its kind where it has none."""
    system = getattr(error, "strerror", None)
    words = " ".join(str(system or error).split())
    printable = "".join(letter for letter in words if letter.isprintable()).rstrip(". ")
    if len(printable) > _LONGEST:
        printable = f"{printable[:_LONGEST]}…"
    return printable or type(error).__name__
