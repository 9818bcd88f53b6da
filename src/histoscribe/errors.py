"""One small hierarchy of errors: what is wrong, where, and what to do about it.

Every error that a user can meet derives from `HistoscribeError`. The shell prints it as one sentence
and leaves with exit code 2; the viewer shows it as a notification. Anything else is a fault of ours.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike


class HistoscribeError(Exception):
    """Something that the user can mend.

    Parameters
    ----------
    problem : str
        What is wrong, as a clause without a full stop.
    where : str or path, optional
        The file, gene, spot or option concerned.
    remedy : str, optional
        What to do about it, as a clause without a full stop.
    """

    def __init__(
        self, problem: str, *, where: str | PathLike[str] | None = None, remedy: str | None = None
    ) -> None:
        self.problem = problem
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(problem)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.problem}{advice}."

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.problem, self.where, self.remedy)


def _rebuild(
    kind: type[HistoscribeError], problem: str, where: str | None, remedy: str | None
) -> HistoscribeError:
    return kind(problem, where=where, remedy=remedy)


class SlideError(HistoscribeError):
    """A slide that cannot be read, or is not what it claims to be."""


class SectionError(HistoscribeError):
    """Counts, positions and image that are damaged or do not belong together."""


class TableError(HistoscribeError):
    """A table of samples or spots by genes that cannot be used."""


class RegionError(HistoscribeError):
    """A drawn region or an annotation file that cannot be used."""


class ModelError(HistoscribeError):
    """A saved model that is damaged, foreign, or does not fit the data."""


class SettingError(HistoscribeError):
    """An option or a setting outside what is possible."""


def require_known(
    what: str, asked: Iterable[str], known: Collection[str], *, where: str | PathLike[str] | None = None
) -> None:
    """Raise `SettingError` for the first name asked for that is not known."""
    for name in asked:
        if name not in known:
            choice = f"choose from {', '.join(known)}"
            raise SettingError(f"no {what} is called {name!r}", where=where, remedy=choice)


class DependencyError(HistoscribeError):
    """An optional package that this step needs and that is not installed."""


class StorageError(HistoscribeError):
    """A result that cannot be written: no space, no permission, no such folder."""


class Cancelled(HistoscribeError):
    """The user stopped the run; nothing half-written is left."""

    def __init__(self, problem: str = "stopped on request", **context: str | None) -> None:
        context.setdefault("remedy", "nothing was written; start it again when you like")
        super().__init__(problem, **context)


_LONGEST_REASON = 200


def reason_of(error: BaseException) -> str:
    """What another library's error says, for a sentence of ours.

    Its own words on one short line without control characters; its kind where it has none.
    """
    system = getattr(error, "strerror", None)
    words = " ".join(str(system or error).split())
    printable = "".join(letter for letter in words if letter.isprintable()).rstrip(". ")
    if len(printable) > _LONGEST_REASON:
        printable = f"{printable[:_LONGEST_REASON]}…"
    return printable or type(error).__name__


@contextmanager
def told_as(
    kind: type[HistoscribeError],
    problem: str,
    *foreign: type[BaseException],
    where: str | PathLike[str] | None = None,
    remedy: str | None = None,
    reason: bool = True,
) -> Iterator[None]:
    """Raise `kind` where another library raises one of `foreign` in the block; our own errors pass.

    `reason`: whether what it says stands in brackets behind the problem.
    """
    try:
        yield
    except HistoscribeError:
        raise
    except foreign as error:
        words = f"{problem} ({reason_of(error)})" if reason else problem
        raise kind(words, where=where, remedy=remedy) from error
