"""The front door of the SDK: ``from tollway import meter``."""

from typing import TYPE_CHECKING

from tollway.producers.ambient import attribute
from tollway.producers.errors import BadSettings, CallBlocked, SpendWarning
from tollway.producers.process import check, flush, init, on_decision, ready, record, stats

if TYPE_CHECKING:
    from tollway.producers.adapters import instrument, uninstrument
    from tollway.producers.local.notices import Notice
    from tollway.producers.local.opening import report, session, set_price, track_tool
    from tollway.producers.local.reports import Report
    from tollway.producers.local.session import Session
    from tollway.producers.otel import SpanProcessor
    from tollway.producers.responses import usage_of

__all__ = [
    "BadSettings",
    "CallBlocked",
    "Notice",
    "Report",
    "Session",
    "SpanProcessor",
    "SpendWarning",
    "attribute",
    "check",
    "flush",
    "init",
    "instrument",
    "on_decision",
    "ready",
    "record",
    "report",
    "session",
    "set_price",
    "stats",
    "track_tool",
    "uninstrument",
    "usage_of",
]

# Loaded at first use: prices and documents take a third of a second, and a process that only
# records needs neither.
_LATER = {
    "instrument": "tollway.producers.adapters",
    "uninstrument": "tollway.producers.adapters",
    "Notice": "tollway.producers.local.notices",
    "Report": "tollway.producers.local.reports",
    "Session": "tollway.producers.local.session",
    "SpanProcessor": "tollway.producers.otel",
    "report": "tollway.producers.local.opening",
    "session": "tollway.producers.local.opening",
    "set_price": "tollway.producers.local.opening",
    "track_tool": "tollway.producers.local.opening",
    "usage_of": "tollway.producers.responses",
}


def __getattr__(name: str) -> object:
    home = _LATER.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # An import by name, so that a type checker still sees the functions above.
    import importlib

    found: object = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found
