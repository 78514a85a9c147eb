"""Threads that are started inside a session, or an attribution, go on in it.

Only that is carried over: other libraries' context variables are theirs.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.patching import Patches
from tollway.producers.ambient import carrying

__all__ = ["attach"]


def attach() -> Detach:
    """`threading.Thread` and pools of threads run for whoever started or asked them."""
    patches = Patches()
    patches.wrap(threading.Thread, "start", _starting)
    patches.wrap(ThreadPoolExecutor, "submit", _submitting)
    return patches.undo


def _starting(start: Callable[..., Any]) -> Callable[..., Any]:
    def started(thread: threading.Thread) -> None:
        # On the instance: a subclass's own `run` is what runs.
        thread.run = carrying(thread.run)  # type: ignore[method-assign]  # that is the point
        start(thread)

    return started


def _submitting(submit: Callable[..., Any]) -> Callable[..., Any]:
    def submitted(
        pool: ThreadPoolExecutor,
        function: Callable[..., Any],
        /,
        *args: object,
        **kwargs: object,
    ) -> Future[Any]:
        future: Future[Any] = submit(pool, carrying(function), *args, **kwargs)
        return future

    return submitted
