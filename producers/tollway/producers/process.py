"""The process's one metering: begun by `init` or by first use, and seen through forks and exits."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Unpack

from tollway.contract.subjects import DIMENSIONS
from tollway.contract.usage import UsageEvent
from tollway.producers.ambient import Fields, RunBooks, carrying, identified, place, run_books
from tollway.producers.complaints import Complaints
from tollway.producers.dimensions import Dimensions, refuse_unknown
from tollway.producers.ending import EXIT_FLUSH_S, mind_the_end
from tollway.producers.errands import Errand
from tollway.producers.errors import BadSettings, CallBlocked, SpendWarning
from tollway.producers.hashes import Hashes
from tollway.producers.listeners import Listeners, OnDecision
from tollway.producers.metering import Metering, Stats, kafka_wire
from tollway.producers.settings import OnStale, Settings, read_settings

__all__ = [
    "CONNECTING_S",
    "booked",
    "check",
    "check_fields",
    "default_agent",
    "flush",
    "hashes",
    "init",
    "install",
    "keep_books",
    "note_fault",
    "on_decision",
    "ready",
    "record",
    "soon",
    "stats",
]

# A fork sooner than this after the clients were opened waits until they have connected.
CONNECTING_S = 1.0
_DECIDED_ABOUT = frozenset({"workspace", *DIMENSIONS})
# Questions of one place whose answer is kept.
MAX_ALLOWED = 100

_log = logging.getLogger("tollway")

_metering: Metering | None = None
# What the parent had when this process was forked from it, until the child's first use.
_inherited: Metering | None = None
_lock = threading.RLock()
_listeners = Listeners()
# Makes the books of a process without brokers, once somebody wants them; see `keep_books`.
_new_books: Callable[[], RunBooks] | None = None
_complaints = Complaints()


def init(
    *,
    brokers: str | None = None,
    workspace: str | None = None,
    key: str | None = None,
    agent: str | None = None,
    on_stale: OnStale | None = None,
    wait_s: float | None = None,
    allow_plaintext: bool | None = None,
    sigterm: bool | None = None,
    kafka: Mapping[str, str] | None = None,
) -> None:
    """Begins metering, or begins it anew with other settings. Raises `BadSettings`.

    What is not given comes from ``TOLLWAY_*`` in the environment, then from tollway.toml.
    """
    given: dict[str, object] = {
        "brokers": brokers,
        "workspace": workspace,
        "key": key,
        "agent": agent,
        "on_stale": on_stale,
        "wait_s": wait_s,
        "allow_plaintext": allow_plaintext,
        "sigterm": sigterm,
        "kafka": kafka,
    }
    with _lock:
        before = install(_opened(read_settings(given, os.environ, Path.cwd())))
    if before is not None:
        before.close(EXIT_FLUSH_S)


def record(event: UsageEvent | Mapping[str, object] | None = None, /, **fields: object) -> None:
    """Meters one call: an event, a mapping of its fields, or the fields themselves.

    What is missing comes from `attribute(...)` around it, then from `init`. Never raises, never
    waits: what cannot be sent is counted in `stats()` and told to the worker.
    """
    metering = _metering or _begin()
    metering.recorder.record(event, fields)


def booked(fields: Fields) -> object:
    """As `record`; what the books of the session around it say of the event, if there are any."""
    return (_metering or _begin()).recorder.record(None, fields)


def soon(errand: Errand) -> None:
    """Done behind the host's back; at once, where a session must know what comes of it."""
    metering = _metering or _begin()
    if metering.recorder.outbox is None or run_books() is not None:
        errand()
    else:
        metering.errands.give(carrying(errand))


def hashes() -> Hashes:
    """Under the workspace's key, so that all its processes hash alike, else this process's own."""
    return (_metering or _begin()).hashes


def keep_books(new_books: Callable[[], RunBooks]) -> RunBooks | None:
    """Without brokers, from now on: the books of what is recorded in no session."""
    global _new_books
    with _lock:
        _new_books = new_books
        metering = _metering or _begin()
        _open_books(metering)
    return metering.recorder.books


def _open_books(metering: Metering) -> None:
    recorder = metering.recorder
    if _new_books is not None and recorder.outbox is None and recorder.books is None:
        recorder.books = _new_books()


def default_agent() -> str | None:
    """The agent of the settings."""
    return (_metering or _begin()).settings.agent


def note_fault(error: Exception) -> None:
    """A fault of ours that the host must not notice: counted, and told once."""
    (_metering or _begin()).faults.add("internal")
    _complaints.fault(error)


def check(**dimensions: Unpack[Dimensions]) -> None:
    """Raises `CallBlocked` if a standing decision forbids the call; may warn `SpendWarning`.

    What is not named comes from `attribute(...)` around it, then from `init`.
    """
    metering = _metering
    if metering is not None and metering.guard is not None:
        # Most calls were allowed a moment ago, here, and no decision has come since.
        frame = place()
        allowed = metering.allowed if frame is None else frame.allowed
        if allowed and (frame is None or frame.books is None):
            try:
                edition = allowed.get(tuple(dimensions.items()) if dimensions else ())
            except TypeError:
                # A value that cannot be hashed is no name of anything.
                edition = None
            if edition is not None and metering.guard.still_allows(edition):
                return
    if dimensions:
        refuse_unknown(dimensions, "check")
    check_fields(dimensions, keep=True)


def check_fields(fields: Mapping[str, object], *, keep: bool = False) -> None:
    """As `check`, of an event's fields: those that are no dimensions are passed over.

    `keep`: remembers that they are allowed, until a decision comes.
    """
    metering = _metering or _begin()
    try:
        books = run_books()
        if books is not None:
            books.check()
        guard = metering.guard
        if guard is not None:
            call = identified(metering.defaults)
            if fields:
                # Of an event's fields no others: their values need not even be hashable.
                named = {n: v for n, v in fields.items() if v is not None and n in _DECIDED_ABOUT}
                call = {**call, **named}
            edition = guard.edition
            if guard.check(call) and keep:
                _keep_allowed(metering, fields, edition)
    except (CallBlocked, SpendWarning):
        raise
    except Exception as error:  # noqa: BLE001 (a fault of ours must not stop the host's call)
        note_fault(error)


def _keep_allowed(metering: Metering, fields: Mapping[str, object], edition: object) -> None:
    frame = place()
    if frame is None:
        kept = metering.allowed
    else:
        kept = frame.allowed if frame.allowed is not None else {}
        frame.allowed = kept
    if len(kept) >= MAX_ALLOWED:
        kept.clear()
    kept[tuple(fields.items())] = edition


def _named(dimensions: Dimensions) -> dict[str, object]:
    return {name: value for name, value in dimensions.items() if value is not None}


def flush(timeout_s: float = EXIT_FLUSH_S) -> int:
    """Waits until every event is delivered; returns how many are not."""
    return (_metering or _begin()).flush(timeout_s)


def ready(timeout_s: float = EXIT_FLUSH_S) -> bool:
    """Waits until the decisions in force are known; says whether they are."""
    guard = (_metering or _begin()).guard
    return guard is None or guard.ready(timeout_s)


def on_decision(callback: OnDecision, **dimensions: Unpack[Dimensions]) -> Callable[[], None]:
    """Calls back with each new decision, from a thread of the SDK; returns what ends that.

    With dimensions, only for decisions that concern a call with just these. What stood before is
    not told: ask `check`.
    """
    refuse_unknown(dimensions, "on_decision")
    listeners = (_metering or _begin()).listeners
    return listeners.add(callback, _named(dimensions))


def stats() -> Stats:
    """What was recorded, dropped and decided in this process so far."""
    return (_metering or _begin()).stats()


def install(metering: Metering | None) -> Metering | None:
    """Makes this the process's metering; returns what was, for the caller to close."""
    global _metering, _inherited
    before, _metering, _inherited = _metering, metering, None
    return before


def _opened(settings: Settings) -> Metering:
    metering = Metering(settings, kafka_wire if settings.brokers else None, _listeners)
    _open_books(metering)
    mind_the_end(settings, _current)
    return metering


def _begin() -> Metering:
    """First use without `init`, or in a forked child. Must not raise: the host only meters."""
    with _lock:
        if _metering is not None:
            return _metering
        try:
            if _inherited is None:
                metering = _opened(read_settings({}, os.environ, Path.cwd()))
            else:
                metering = _inherited.renewed()
                mind_the_end(metering.settings, _current)
        except BadSettings as error:
            _log.error("tollway meters nothing: %s", error)
            metering = Metering(Settings(), None, _listeners)
        except Exception as error:  # noqa: BLE001 (metering must never break what it meters)
            _complaints.fault(error)
            metering = Metering(Settings(), None, _listeners)
        install(metering)
        return metering


def _current() -> Metering | None:
    return _metering


def _before_fork() -> None:
    # A child that is forked while another thread looks up a host's name inherits a lock of glibc
    # that nobody will open, and then can look up no name itself. Connecting looks up names.
    if _metering is not None:
        _metering.settle(CONNECTING_S)


def _after_fork_in_child() -> None:
    global _lock, _metering, _inherited
    _lock = threading.RLock()
    _listeners.after_fork()
    if _metering is not None:
        _metering.abandon()
        _inherited, _metering = _metering, None


# At import, because a fork may come before the first use and after it, and this does nothing else.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
