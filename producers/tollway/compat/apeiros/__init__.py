"""The names of Apeiros over Tollway's sessions and detectors; docs/moving.md says what differs."""

from pathlib import Path

from tollway.compat.apeiros.reports import customer_report, meter
from tollway.compat.apeiros.sessions import end_session, get_state, start_session, wrap
from tollway.compat.apeiros.tasks import ApeirosAgent
from tollway.producers.adapters import instrument as _instrument

__all__ = [
    "ApeirosAgent",
    "customer_report",
    "end_session",
    "get_state",
    "instrument",
    "meter",
    "start_session",
    "wrap",
]


def instrument(*frameworks: str, state: Path | str | None = None) -> list[str]:
    """Counts the calls of the frameworks that are installed, or of the named ones; says of which.

    `state` is the file that registers tasks; without it ``TOLLWAY_STATE``, else
    ``.tollway/apeiros.jsonl``.
    """
    if state is not None:
        ApeirosAgent._registry.keep_in(state)
    return [attached.name for attached in _instrument(*frameworks)]
