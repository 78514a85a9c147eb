"""Calls while they go on: asked for, made, answered, and metered once, whoever reports them.

For adapters. Nothing here raises into the host but `CallBlocked`: whatever else goes wrong in here
is counted, logged once, and the host's call goes on unmetered.
"""

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Final
from weakref import ReferenceType, ref

from tollway.producers import process
from tollway.producers.ambient import Fields, at, place
from tollway.producers.asked import Asked, fields_of
from tollway.producers.errors import CallBlocked
from tollway.producers.events import now
from tollway.producers.responses import ResponseUsage, usage_of

__all__ = ["Asked", "Call", "Usage", "begin", "open_call", "safely"]

Usage = ResponseUsage
# How a host's exception is told: its type, and no text of it, which may hold a prompt.
_ABORTS: Final = ("CancelledError", "KeyboardInterrupt", "GeneratorExit", "SystemExit")


class Call:
    """One call of a model or a tool. End it with exactly one of `answered`, `used`, `returned`,
    `failed` and `aborted`; what comes after the first is passed over."""

    __slots__ = (
        "__weakref__",
        "_asked",
        "_began_s",
        "_enclosing",
        "_fields",
        "_inside",
        "_place",
        "_told",
        "done",
        "metered_inside",
    )

    def __init__(self, asked: Asked | None, enclosing: "Call | None", fields: Fields) -> None:
        self._asked = asked
        self._enclosing = enclosing
        self._fields = fields
        self._place = place()
        self._began_s = time.monotonic()
        self.done = False
        # Whether this one was metered by itself.
        self._told = False
        # Whether a call inside of this one, of the same kind, has been metered: then this is it.
        self.metered_inside = False
        # The last one that began inside of this one, of the same kind, for as long as it lives.
        self._inside: ReferenceType[Call] | None = None
        if enclosing is not None:
            for around in self._around():
                around._inside = ref(self)

    @property
    def fields(self) -> Fields:
        """What the call is attributed to; inner calls inherit it."""
        return self._fields

    @property
    def asked(self) -> Asked | None:
        """What was known of it before; None where its adapter did not understand it."""
        return self._asked

    @property
    def enclosing(self) -> "Call | None":
        """The call that this one is a part of."""
        return self._enclosing

    @property
    def inside(self) -> "Call | None":
        """The last one of its kind that began inside of this one, for as long as it lives."""
        return None if self._inside is None else self._inside()

    def answered(self, response: object) -> None:
        """A model's whole response: an SDK's object, a dictionary, bytes."""
        with safely():
            asked = self._asked
            if asked is not None:
                provider, api = asked.provider or None, asked.api or None
                self._end(lambda: usage_of(response, provider=provider, api=api).fields())

    def used(self, usage: ResponseUsage, **more: object) -> None:
        """A model's answer, whose usage the adapter knows."""
        with safely():
            self._end(lambda: {**usage.fields(), **more})

    def returned(self, result: object, **more: object) -> None:
        """A tool's result."""
        with safely():
            if self._asked is not None and not self.done:
                # Now: the host may change it.
                fields = {**process.hashes().result_fields(result), **more}
                self._end(lambda: fields)

    def failed(self, error: BaseException, usage: ResponseUsage | None = None) -> None:
        """The call ended with the host's or the provider's exception."""
        with safely():
            name = type(error).__name__
            if isinstance(error, CallBlocked):
                # It was not made.
                self.done = True
                return
            status = "aborted" if name in _ABORTS else "error"
            self._end(lambda: {**self._spent(usage), "status": status})

    def aborted(self, usage: ResponseUsage | None = None) -> None:
        """The host let go of a stream before its end: what was used by then was paid for."""
        with safely():
            self._end(lambda: {**self._spent(usage), "status": "aborted"})

    def _spent(self, usage: ResponseUsage | None) -> Fields:
        if usage is not None:
            return usage.fields()
        # A model that failed may have used something; nobody says how much.
        return {} if self._asked is None or self._asked.kind == "tool" else {"usage_missing": True}

    def _end(self, said: Callable[[], Fields]) -> None:
        """`said`: what the answer says. It is asked where the host need not wait for it."""
        if self.done or self._asked is None:
            return
        self.done = True
        if self._enclosing is not None:
            for around in self._around():
                around.metered_inside = True
                # In a circle of garbage the outer one is let go of first, and finds nothing inside.
                self.metered_inside |= around._told
        inside = self.inside
        # One inside that goes on will be metered: of a stream that is cut, the outer end is first.
        if self.metered_inside or (inside is not None and not inside.done):
            return
        self._told = True
        duration_ms = int((time.monotonic() - self._began_s) * 1000)
        told = {"time": now(), **self._fields, "duration_ms": duration_ms}
        # Where it began: a stream may be read anywhere.
        at(self._place, process.soon, partial(_tell, told, said))

    def _around(self) -> Iterator["Call"]:
        """The calls around this one that are the same call, as other adapters see it."""
        around = self._enclosing
        while around is not None and self._asked is not None:
            if around._is_same(self):
                yield around
            around = around._enclosing

    def _is_same(self, inner: "Call") -> bool:
        """A model call inside of a model call is that call. A tool may use other tools, and itself
        for something else."""
        mine, its = self._asked, inner._asked
        if mine is None or its is None or mine.kind != its.kind:
            return False
        if mine.kind == "llm":
            return True
        if mine.framework != its.framework:
            # One that does not know which tool it is about has nothing else to be about.
            return mine.tool == its.tool or not mine.tool or not its.tool
        asks_alike = self._fields.get("args_hash") == inner._fields.get("args_hash")
        return mine.tool == its.tool and asks_alike

    def running(self) -> "_Running":
        """What is called inside is a part of this call."""
        return _Running(self)

    def enclose(self) -> None:
        """As `running`, for callbacks that come before and after: until the call has ended."""
        _enclosing.set(self)


def _tell(told: Fields, said: Callable[[], Fields]) -> None:
    with safely():
        process.booked({**told, **said()})


class _Running:
    """See `Call.running`."""

    __slots__ = ("_before", "_call")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._before: Call | None = None

    def __enter__(self) -> Call:
        self._before = _enclosing.get()
        _enclosing.set(self._call)
        return self._call

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _enclosing.set(self._before)


_enclosing: ContextVar[Call | None] = ContextVar("tollway_call", default=None)


def begin(describe: Callable[[], Asked]) -> Call:
    """Asks whether the call may be made. Raises `CallBlocked`, and nothing else.

    `describe` runs inside the guard, so that an adapter that does not understand a call of a new
    version does not break it.
    """
    asked: Asked | None = None
    enclosing: Call | None = None
    fields: Fields = {}
    with safely():
        asked = describe()
        enclosing = open_call()
        fields = fields_of(asked, {} if enclosing is None else enclosing.fields)
    if asked is not None:
        process.check_fields(fields)
    return Call(asked, enclosing, fields)


def open_call() -> Call | None:
    """The innermost call around the code that runs now that has not ended."""
    call = _enclosing.get()
    while call is not None and call.done:
        call = call._enclosing
    return call


class _Safely:
    """See `safely`. A class, because an adapter enters it six times a call."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, CallBlocked):
            return False
        process.note_fault(error)
        return True


_safely: Final = _Safely()


def safely() -> _Safely:
    """Whatever goes wrong inside, but `CallBlocked`, is our fault: told once, and gone."""
    return _safely
