"""What a format is: one row of the table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from histoscribe.formats.glimpse import Glimpse

Kind = Literal["slide", "section", "cohort", "table", "model", "regions", "session"]
WORDS: dict[Kind, str] = {
    "slide": "a slide",
    "section": "a section",
    "cohort": "a cohort",
    "table": "a table of samples",
    "model": "a model",
    "regions": "a file of regions",
    "session": "a session",
}
"""Each kind with its article, for sentences."""


@dataclass(frozen=True)
class Format:
    """One way in which something lies on disk."""

    kind: Kind
    """What it stands for: slide, section, cohort, table, model, regions or session."""
    name: str
    """As it is called in sentences."""
    sniff: Callable[[Glimpse], bool]
    """Takes a `Glimpse`, says whether this is it. Fast, reads a bounded amount, imports nothing heavy."""
    open: Callable[..., Any]
    """Takes the path (a URL as str) and gives a `Slide` with the levels that the file has, a `Section`, a
    list of sections, a `BulkTable`, a model, regions or a session's content. For a section it takes `options`
    as well, a `SectionOptions`."""
    patterns: tuple[str, ...] = ()
    """Names of such files, `*/` for a folder: what a viewer or a dialog asks for before it looks inside."""
