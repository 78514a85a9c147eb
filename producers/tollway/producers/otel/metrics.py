"""What this process metered, as OpenTelemetry metrics under names of our own.

Not under the conventions' `gen_ai.client.*`: an instrumentation in the same process tells those,
and a sum over both would be twice the truth.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from weakref import WeakSet

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from tollway.contract.usage import UsageEvent
from tollway.producers import process
from tollway.producers.calls import safely
from tollway.producers.local.notices import Booked
from tollway.producers.watching import watch

__all__ = ["MAX_SERIES", "observe"]

# Pairs of provider and model that are told apart; what is beyond is told as `other`.
MAX_SERIES: Final = 200
# Calls remembered, so that one that two adapters report counts once.
MAX_REMEMBERED: Final = 10_000
SCOPE: Final = "tollway"
OTHER: Final = ("other", "other")
_PICO: Final = 10**12

# Provider and model.
_Pair = tuple[str, str]
_Tell = Callable[[CallbackOptions], Iterable[Observation]]

# Of an event, by the last part of its metric's name.
_TOKENS: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read.input_tokens": "cache_read_tokens",
    "cache_write.input_tokens": "cache_write_tokens",
    "reasoning.output_tokens": "reasoning_tokens",
}


class _Series:
    """Sums of one provider and model."""

    __slots__ = ("missing", "pico", "tokens")

    def __init__(self) -> None:
        self.tokens = dict.fromkeys(_TOKENS.values(), 0)
        self.pico = 0
        self.missing = 0


class _Sums:
    """Adds up events of models and tools. Any thread."""

    def __init__(self) -> None:
        self._by_pair: dict[_Pair, _Series] = {}
        self._seen: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        # Reentrant: a signal handler may record, too.
        self._lock = threading.RLock()
        _alive.add(self)

    def renew_lock(self) -> None:
        self._lock = threading.RLock()

    def add(self, event: UsageEvent, booked: object) -> None:
        with safely(), self._lock:
            if event.kind not in {"llm", "tool"} or self._was_seen(event):
                return
            series = self._series(event)
            for name in series.tokens:
                series.tokens[name] += getattr(event, name)
            series.missing += event.usage_missing
            if isinstance(booked, Booked) and not booked.duplicate:
                series.pico += booked.entry.cost_pico or 0

    def _was_seen(self, event: UsageEvent) -> bool:
        if event.source is None:
            return False
        call = (event.workspace, event.source, event.id)
        if call in self._seen:
            return True
        self._seen[call] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return False

    def _series(self, event: UsageEvent) -> _Series:
        # A tool has no model; its name would be one label more for each.
        pair = (event.provider or "", event.model or "") if event.kind == "llm" else ("", "tool")
        series = self._by_pair.get(pair)
        if series is None:
            if len(self._by_pair) >= MAX_SERIES:
                pair = OTHER
            series = self._by_pair.setdefault(pair, _Series())
        return series

    def each(self, value: Callable[[_Series], int | float]) -> list[Observation]:
        with self._lock:
            return [Observation(value(of), _labels(pair)) for pair, of in self._by_pair.items()]


def observe(meter_provider: MeterProvider | None = None) -> Callable[[], None]:
    """Tells the provider's readers what this process metered, from now on.

    Once a provider. Returns what ends the adding up of tokens and spend.
    """
    sums = _Sums()
    meter = (meter_provider or api.get_meter_provider()).get_meter(SCOPE)
    for name, (unit, description, tell) in _counters(sums).items():
        meter.create_observable_counter(f"{SCOPE}.{name}", [tell], unit, description)
    meter.create_observable_gauge(
        f"{SCOPE}.events.queued", [_queued], "{event}", "Events that wait for the broker."
    )
    meter.create_observable_gauge(
        f"{SCOPE}.decisions", [_decisions], "{decision}", "Decisions in force, as known here."
    )
    return watch(sums.add)


def _counters(sums: _Sums) -> Mapping[str, tuple[str, str, _Tell]]:
    """By name without the scope: its unit, its description, and what tells it."""
    tokens = {
        f"usage.{name}": (
            "{token}",
            f"Sum of {field} of recorded events; input and output hold their parts.",
            _tokens(sums, field),
        )
        for name, field in _TOKENS.items()
    }
    return {
        "events.recorded": ("{event}", "Events that were recorded.", _recorded),
        "events.dropped": ("{event}", "Events that got lost, by reason.", _dropped),
        "calls.blocked": ("{call}", "Calls that a decision forbade, by reason.", _blocked),
        **tokens,
        "usage.missing": (
            "{event}",
            "Events whose provider did not say the usage: their tokens are a lower bound.",
            lambda _: sums.each(lambda series: series.missing),
        ),
        "session.spend": (
            "USD",
            "Spend of sessions in this process: a float for display; the books are exact.",
            lambda _: sums.each(lambda series: series.pico / _PICO),
        ),
    }


def _tokens(sums: _Sums, field: str) -> _Tell:
    return lambda _: sums.each(lambda series: series.tokens[field])


def _labels(pair: _Pair) -> dict[str, str]:
    provider, model = pair
    labels = {"gen_ai.provider.name": provider, "gen_ai.response.model": model}
    return {name: value for name, value in labels.items() if value}


def _recorded(options: CallbackOptions) -> list[Observation]:
    return [Observation(process.stats().recorded)]


def _dropped(options: CallbackOptions) -> list[Observation]:
    return [Observation(n, {"reason": why}) for why, n in process.stats().dropped.items()]


def _blocked(options: CallbackOptions) -> list[Observation]:
    counts = process.stats().guard_counts.items()
    return [Observation(n, {"reason": why}) for why, n in counts if why.startswith("blocked")]


def _queued(options: CallbackOptions) -> list[Observation]:
    return [Observation(process.stats().queued)]


def _decisions(options: CallbackOptions) -> list[Observation]:
    return [Observation(process.stats().decisions)]


_alive: WeakSet[_Sums] = WeakSet()


def _after_fork_in_child() -> None:
    # A thread that the child does not have may have held it.
    for sums in list(_alive):
        sums.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
