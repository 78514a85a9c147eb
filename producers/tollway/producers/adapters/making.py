"""What an adapter holds around a call that it awaits: what runs inside is a part of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from tollway.producers.adapters.stainless_reading import refused
from tollway.producers.calls import Call, safely
from tollway.producers.responses import ResponseUsage

__all__ = ["Making"]


def _unknown() -> ResponseUsage | None:
    return None


class Making:
    """Enters a call; what leaves it by an exception has failed. Whatever else ends it comes after.

    `known`: what was used by then. No ``except``: what passes is the host's, and stays as it is.
    """

    __slots__ = ("_call", "_known", "_running")

    def __init__(self, call: Call, known: Callable[[], ResponseUsage | None] = _unknown) -> None:
        self._call = call
        self._known = known
        self._running: AbstractContextManager[Call] = call.running()

    def __enter__(self) -> None:
        self._running.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Not with the error: it is not for the generator behind it to raise again.
        self._running.__exit__(None, None, None)
        if error is not None:
            with safely():
                self._call.failed(error, self._known() or refused(error))
