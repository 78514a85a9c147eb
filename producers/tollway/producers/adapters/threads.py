"""Threads that are started inside a session, or an attribution, go on in it.

Only that is carried over: other libraries' context variables are theirs. A pool's threads serve
whoever asks them, so they are in nobody's session: each task is in that of who gave it.
"""

import functools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.importing import forget, when_imported
from tollway.producers.adapters.patching import Patches
from tollway.producers.ambient import at, carrying, place
from tollway.producers.calls import safely

__all__ = ["attach"]

# Imported by few: attached when it is.
_POOLS: Final = "multiprocessing.pool"
# Whose threads take tasks from a queue.
_SERVING: Final = frozenset({"concurrent.futures.thread", _POOLS})
# How `ThreadPool` is given tasks: its other methods come by these.
_GIVING: Final = ("apply_async", "_map_async", "imap", "imap_unordered")


def attach() -> Detach:
    """`threading.Thread` and pools of threads run for whoever started or asked them."""
    patches = Patches()
    patches.wrap(threading.Thread, "start", _starting)
    patches.wrap(ThreadPoolExecutor, "submit", _giving)
    if _POOLS in sys.modules:
        _attach_pools(patches)
    else:
        when_imported(_POOLS, functools.partial(_attach_pools, patches))

    def detach() -> None:
        forget(_POOLS)
        patches.undo()

    return detach


def _attach_pools(patches: Patches) -> None:
    from multiprocessing.pool import ThreadPool

    with safely():
        for name in _GIVING:
            patches.wrap(ThreadPool, name, _giving)


def _starting(start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def started(thread: threading.Thread) -> None:
        with safely():
            target = vars(thread).get("_target")
            serves = getattr(target, "__module__", "") in _SERVING
            if place() is not None and thread.ident is None and not serves:
                _carry(thread)
        start(thread)

    return started


def _carry(thread: threading.Thread) -> None:
    """On the instance: a subclass's own `run` is what runs."""
    where, run, own = place(), thread.run, vars(thread).get("run")

    def carried_over() -> None:
        # Not for longer: a thread that holds itself is freed by the garbage collector alone.
        if own is None:
            del thread.run
        else:
            thread.run = own  # type: ignore[method-assign]  # what its host has put there
        at(where, run)

    thread.run = carried_over  # type: ignore[method-assign]  # that is the point


def _giving(give: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(give)
    def given(pool: object, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (the pool's)
        if args:
            function, *rest = args
            return give(pool, carrying(function), *rest, **kwargs)
        # What is missing altogether the pool itself complains of.
        named = {name: carrying(kwargs[name]) for name in ("func",) if name in kwargs}
        return give(pool, **{**kwargs, **named})

    return given
