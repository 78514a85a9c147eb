"""What a metered call must say: the recording's usage, and what our price list makes of it."""

import functools
import time
from typing import Any, Final

from recordings import Recording
from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Catalogue
from tollway.domain.usage import Usage

__all__ = ["assert_usage", "cost_pico", "expected_pico"]

_PARTS: Final = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "reasoning_tokens",
}


def assert_usage(event: UsageEvent, recorded: Recording, *, provider: str, model: str = "") -> None:
    """That the event is the recorded call: its counts, whose it is, its cost to the pico-dollar.

    `model`: where the response names another than the manifest.
    """
    counts = _counts(recorded)
    assert {field: getattr(event, field) for field in counts} == counts
    assert event.kind == "llm"
    assert event.status == "ok"
    assert not event.usage_missing
    assert event.provider == provider
    assert event.model == (model or recorded.model)
    assert cost_pico(event) == expected_pico(recorded, provider=provider, model=model)


def expected_pico(recorded: Recording, *, provider: str, model: str = "") -> int:
    """What the manifest's numbers cost: nothing of the event is in it."""
    told = UsageEvent(
        id="told",
        time="2026-01-31T12:00:00Z",
        workspace="test",
        agent="test",
        provider=provider,
        model=model or recorded.model,
        **_counts(recorded),
    )
    return cost_pico(told)


def cost_pico(event: UsageEvent) -> int:
    """By the bundled price list, now. Raises `LookupError` where it has no price."""
    now_ms = time.time_ns() // 1_000_000
    rates = _catalogue().rates(event.provider, event.model or "", event.service_tier, now_ms)
    if rates is None:
        raise LookupError(f"no price for {event.provider}'s {event.model!r}")
    return rates.cost_pico(Usage(event))


def _counts(recorded: Recording) -> dict[str, Any]:
    return {field: getattr(recorded.expected, part) or 0 for part, field in _PARTS.items()}


@functools.cache
def _catalogue() -> Catalogue:
    return Catalogue.bundled()
