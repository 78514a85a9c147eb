"""Makes a `CallBlocked` that a framework lets out, where it keeps other exceptions to itself.

Such a framework has one exception of its own that is never swallowed, retried or shown to a model.
What is raised here is both: that one for the framework, `CallBlocked` for the host.
"""

import functools
from types import TracebackType
from typing import Final

from tollway.producers.errors import CallBlocked

__all__ = ["Refusals", "passing", "refusal_in"]

# Causes of causes: no framework wraps deeper, and a circle must not hold us.
MAX_CAUSES: Final = 10


def passing(error: CallBlocked, signal: type[Exception]) -> CallBlocked:
    """The same refusal, as an exception that is a `signal` as well."""
    kind = _both(signal)  # type: ignore[arg-type]  # a class can be hashed, whatever mypy thinks
    # Not its `__init__`: the two kinds' do not take the same.
    made = kind.__new__(kind, *error.args)
    vars(made).update(vars(error))
    return made


@functools.cache
def _both(signal: type[Exception]) -> type[CallBlocked]:
    # `source`: whom CrewAI names as the one who refused. `__reduce__`: another process cannot find
    # this class by a name, and the host knows only the other one.
    return type("CallBlocked", (CallBlocked, signal), {"__reduce__": _plain, "source": "tollway"})


def _plain(error: CallBlocked) -> tuple[type[CallBlocked], tuple[object, ...]]:
    return CallBlocked, error.args


def refusal_in(error: BaseException) -> CallBlocked | None:
    """The `CallBlocked` that a framework has wrapped into an exception of its own, if any."""
    seen: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if seen is None or isinstance(seen, CallBlocked):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


class Refusals:
    """Lets a `CallBlocked` from deep inside out as what it is, not as what it was wrapped into.

    With a `signal` it comes out as one. No ``except``: everything else passes as it is.
    """

    def __init__(self, signal: type[Exception] | None = None) -> None:
        self._signal = signal

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        refusal = None if error is None else refusal_in(error)
        if refusal is None:
            return
        if self._signal is not None and not isinstance(error, self._signal):
            raise passing(refusal, self._signal) from error
        if refusal is not error:
            raise refusal from error
