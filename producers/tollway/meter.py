"""The front door of the SDK: ``from tollway import meter``."""

from tollway.producers.ambient import attribute
from tollway.producers.errors import BadSettings, CallBlocked, SpendWarning
from tollway.producers.process import check, flush, init, on_decision, ready, record, stats

__all__ = [
    "BadSettings",
    "CallBlocked",
    "SpendWarning",
    "attribute",
    "check",
    "flush",
    "init",
    "on_decision",
    "ready",
    "record",
    "stats",
]
