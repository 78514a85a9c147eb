"""The worker's figures: of its own partitions, and of what it counted itself."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ledgers import T0, event, small_catalogue
from tollway.domain import crowding
from tollway.domain.ledger import Ledger
from tollway.domain.prices import PriceBook
from tollway.streams.metrics import Metrics
from tollway.streams.owner import Owner


class _Nobody:
    def publish(self, partition: int, key: str, value: bytes) -> None:
        """What is decided does not matter here."""


def owner_of(ledger: Ledger) -> Owner:
    return Owner(ledger.partition, ledger, _Nobody(), seen_until=-1, torn={}, logs={})


def send(ledger: Ledger, *values: bytes) -> None:
    first = ledger.usage_offset + 1
    offsets = range(first, first + len(values))
    ledger.apply(values, [b"key"] * len(values), offsets, [T0] * len(values))


def shown(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """By name and its labels' values, in the order of their names; those above nothing."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }


def test_what_others_counted_before_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(crowding.LIMITS, crowding.NORMS, 2)
    ledger = Ledger(0, 1, PriceBook(small_catalogue()))
    send(ledger, *[event(agent=f"a{n}") for n in range(4)])
    owner, metrics = owner_of(ledger), Metrics()

    metrics.owned(owner)
    # The first slice counts too.
    send(ledger, event(agent="b"), b"x", event(agent="c"))
    metrics.applied(owner, T0)
    metrics.closed(owner, 7, 0.01)

    figures = shown(metrics)
    assert figures["tollway_events_processed_total", "events"] == 3
    assert figures["tollway_events_processed_total", "dead_letters"] == 1
    assert figures["tollway_state_left_early_total", "norms"] == 2
    assert figures["tollway_state_pieces", "norms", "0"] == 2
    assert figures["tollway_books_records_total",] == 7


def test_a_partition_that_was_given_back_is_not_shown_any_more() -> None:
    ledger = Ledger(0, 1, PriceBook(small_catalogue()))
    owner, metrics = owner_of(ledger), Metrics()
    metrics.owned(owner)
    # One that was owned and never read has nothing to take back.
    metrics.gone(owner)
    metrics.owned(owner)
    send(ledger, event(), event())
    metrics.applied(owner, T0)
    metrics.closed(owner, 1, 0.01)
    assert shown(metrics)["tollway_usage_offset", "0"] == 1

    metrics.gone(owner)

    left = shown(metrics)
    assert not [name for name in left if "0" in name[1:]]
    assert left["tollway_events_processed_total", "events"] == 2
