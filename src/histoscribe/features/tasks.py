"""Tasks: the same function over many items, on the threads of this machine or on a cluster."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from histoscribe.errors import DependencyError, SettingError, SlideError, told_as

T = TypeVar("T")
R = TypeVar("R")

_WAVE_S = 1.0  # a stop is obeyed within about this time, unless one task takes longer
ANSWER_S = 10  # how long a scheduler may take to answer
_LONELY_S = 60.0  # how long a scheduler may be without workers
_IN_USE: ContextVar[Any] = ContextVar("client", default=None)
_KEPT = "finished chunks are in the feature store, if one was given: start the same command again"


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Run what is described inside on a `dask.distributed` scheduler; on this machine's threads if None.

    Raises
    ------
    DependencyError
        If `distributed` is not installed.
    SettingError
        If nothing answers at the address.
    """
    if address is None:
        yield
        return
    needed, remedy = "a scheduler needs dask.distributed", "pip install 'napari-histoscribe[cluster]'"
    with told_as(DependencyError, needed, ImportError, remedy=remedy, reason=False):
        from distributed import Client
    wrong, remedy = (OSError, ValueError, TypeError), "start one with `dask scheduler`, and give its address"
    problem = "no Dask scheduler answers there"
    with told_as(SettingError, problem, *wrong, where=address, remedy=remedy, reason=False):
        client: Any = Client(address, timeout=ANSWER_S, set_as_default=False)  # type: ignore[no-untyped-call,unused-ignore]
    with client:
        token = _IN_USE.set(client)
        try:
            yield
        finally:
            _IN_USE.reset(token)


def cluster() -> Any:
    """The client of the `dask.distributed` scheduler in use, or None."""
    if _IN_USE.get() is not None or "distributed" not in sys.modules:
        return _IN_USE.get()
    from distributed import default_client

    try:
        client = default_client()  # type: ignore[no-untyped-call,unused-ignore]
    except ValueError:
        return None
    return client if client.status == "running" else None


def cluster_gone() -> bool:
    """Whether the scheduler in use does not answer, or has no worker."""
    client = cluster()
    try:
        return client is not None and not (client.status == "running" and client.nthreads())
    except OSError:
        return True


def run_all(task: Callable[[T], R], items: Sequence[T], check: Callable[[], None]) -> Iterator[R]:
    """Yield what `task` makes of every item, as it is finished.

    `check`: called on this thread about once a second; what it raises ends everything. Raises `SlideError` if
    an item ended every worker that tried it, `SettingError` if the scheduler or all its workers are gone.
    """
    client = cluster()
    return _on_threads(task, items, check) if client is None else _on_cluster(client, task, items, check)


def _on_threads(task: Callable[[T], R], items: Sequence[T], check: Callable[[], None]) -> Iterator[R]:
    import dask.config
    from dask.base import compute
    from dask.delayed import delayed
    from dask.system import CPU_COUNT

    workers = max(1, int(dask.config.get("num_workers", None) or CPU_COUNT))
    start, wave = 0, workers
    while start < len(items):
        check()
        begun = time.monotonic()
        # Bound rather than passed, because dask looks for its own collections in arguments.
        tasks = [delayed(partial(task, item), pure=False)() for item in items[start : start + wave]]
        yield from compute(*tasks, scheduler="threads")  # type: ignore[no-untyped-call]
        start += wave
        pace = _WAVE_S / max(time.monotonic() - begun, 1e-3)
        wave = workers * max(1, min(round(wave / workers * min(pace, 4)), 64))


def _on_cluster(
    client: Any, task: Callable[[T], R], items: Sequence[T], check: Callable[[], None]
) -> Iterator[R]:
    from distributed import KilledWorker, wait
    from distributed.comm.core import CommClosedError

    waiting, running = iter(items), set[Any]()
    lonely_since: float | None = None
    try:
        while True:
            check()
            if client.status != "running":
                raise SettingError("the scheduler is gone", remedy=_KEPT)
            threads = sum(client.nthreads().values())
            lonely_since = None if threads else lonely_since or time.monotonic()
            if lonely_since is not None and time.monotonic() - lonely_since > _LONELY_S:
                raise SettingError("the scheduler has no worker", remedy=f"start some; {_KEPT}")
            for item in islice(waiting, max(0, 2 * max(1, threads) - len(running))):
                running.add(client.submit(partial(task, item), pure=False))
            if not running:
                return
            with contextlib.suppress(TimeoutError), client.as_current():
                wait(  # type: ignore[no-untyped-call,unused-ignore]
                    running, timeout=_WAVE_S / 2, return_when="FIRST_COMPLETED"
                )
            for future in [future for future in running if future.done()]:
                running.discard(future)
                if future.cancelled():
                    raise SettingError("the scheduler is gone", remedy=_KEPT)
                yield future.result()
    except KilledWorker as error:
        problem = "every worker that describes a certain part of it is killed"
        raise SlideError(problem, remedy="look into the workers' logs; often they lack memory") from error
    except OSError as error:
        if client.status == "running" and not isinstance(error, CommClosedError):
            raise
        raise SettingError("the scheduler is gone", remedy=_KEPT) from error
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            client.cancel(list(running))
