"""A streamed answer that passes by: read chunk by chunk, counted once, wherever it stops."""

from types import TracebackType
from typing import Self

from tollway.producers.calls import Call, safely
from tollway.producers.responses import Reader

__all__ = ["Counted"]


class Counted:
    """What there is of one call's answer. In a ``with`` around the passing; or dropped with it.

    Left in peace it is at its end; by `GeneratorExit` its host reads no further; any other
    exception is the connection's, or the host's task was cancelled.
    """

    def __init__(self, call: Call, provider: str) -> None:
        self._call = call
        self._reader = Reader(provider=provider or None)

    def feed(self, chunk: object) -> None:
        with safely():
            self._reader.feed(chunk)

    def end(self) -> None:
        with safely():
            self._call.used(self._reader.usage())

    def let_go(self, *, complete: bool = False) -> None:
        """The host reads no further. May come more than once, and after the end.

        Where all is known by now, or there was no more to come, it was not cut.
        """
        with safely():
            if self._call.done:
                return
            usage = self._reader.usage()
            if complete or not usage.usage_missing or usage.status == "error":
                self._call.used(usage)
            else:
                self._call.aborted(usage)

    def fail(self, error: BaseException) -> None:
        with safely():
            self._call.failed(error, self._reader.usage())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.end()
        elif isinstance(error, GeneratorExit):
            self.let_go()
        else:
            self.fail(error)

    def __del__(self) -> None:
        # Half made, where the reader could not be.
        if hasattr(self, "_reader"):
            self.let_go()
