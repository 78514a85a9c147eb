"""What `record` makes of what an agent says, and what it counts when it cannot."""

import enum
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from threading import Thread

import pytest

from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.process import install
from tollway.producers.testing import Meter, metered

PROMPT = "my password is hunter2"


@pytest.fixture
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def test_one_line_makes_a_whole_event(metering: Meter) -> None:
    meter.record(provider="openai", model="gpt-4o", input_tokens=1200, output_tokens=80)

    (event,) = metering.events()
    assert (event.workspace, event.agent, event.kind) == ("acme", "bot", "llm")
    assert (event.provider, event.model) == ("openai", "gpt-4o")
    assert (event.input_tokens, event.output_tokens) == (1200, 80)
    assert event.producer == meter.stats().producer
    assert event.seq == 0
    assert event.id == f"{event.producer}-0"
    assert len(event.time) == 24
    assert event.time.endswith("Z")


def test_the_key_of_an_event_is_its_workspace(metering: Meter) -> None:
    meter.record(workspace="other", model="gpt-4o")

    assert metering.outbox.records[0][0] == b"other"


def test_a_mapping_and_keywords_merge(metering: Meter) -> None:
    meter.record({"model": "gpt-4o", "input_tokens": 1}, input_tokens=2, user="ann")

    (event,) = metering.events()
    assert (event.model, event.input_tokens, event.user) == ("gpt-4o", 2, "ann")


def test_an_event_keeps_what_it_says_and_gets_the_rest_from_around_it(metering: Meter) -> None:
    said = UsageEvent(
        id="resp-1",
        source="openai",
        time="2026-01-31T13:00:00+01:00",
        workspace="acme",
        agent="writer",
        session="s-1",
        input_tokens=5,
    )

    with meter.attribute(session="around", user="ann"):
        meter.record(said)

    (event,) = metering.events()
    assert (event.id, event.source, event.agent) == ("resp-1", "openai", "writer")
    assert (event.session, event.user, event.input_tokens) == ("s-1", "ann", 5)
    assert event.time == "2026-01-31T12:00:00.000Z"


def test_none_says_nothing_and_hides_nothing(metering: Meter) -> None:
    with meter.attribute(user="ann"):
        meter.record(model="gpt-4o", user=None, cache_read_tokens=None)

    (event,) = metering.events()
    assert (event.user, event.cache_read_tokens) == ("ann", 0)


class Tier(enum.StrEnum):
    FLEX = "flex"


def test_a_datetime_a_decimal_and_an_enum_are_written_as_text(metering: Meter) -> None:
    meter.record(
        time=datetime(2026, 1, 31, 12, tzinfo=UTC),
        cost=Decimal("0.0000007"),
        service_tier=Tier.FLEX,
    )

    (event,) = metering.events()
    assert event.time == "2026-01-31T12:00:00.000Z"
    assert event.cost == "0.0000007"
    assert event.service_tier == "flex"


@pytest.mark.parametrize(
    "fields",
    [
        {"input_tokens": -1},
        {"input_tokens": True},
        {"input_tokens": "12"},
        {"input_tokens": 2**48 + 1},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"cost": 0.1},
        {"cost": "1e-3"},
        {"cost": "NaN"},
        {"time": "yesterday"},
        {"time": "2026-01-31T12:00:00"},
        {"time": datetime(2026, 1, 31, 12)},
        {"kind": "party"},
        {"agent": ""},
        {"agent": 7},
        {"workspace": ""},
        {"workspace": "w" * 513},
        {"input_token": 12},
        {"tags": {"a": object()}},
        {"model": "\ud800"},
        {"user": ["ann"]},
    ],
)
def test_what_is_no_event_is_counted_and_not_sent(
    metering: Meter, fields: dict[str, object]
) -> None:
    meter.record(fields)

    stats = meter.stats()
    assert metering.events() == []
    assert (stats.recorded, sum(stats.dropped.values())) == (1, 1)


def test_an_event_without_an_agent_is_a_row_of_its_own() -> None:
    with metered(agent=None) as metering:
        meter.record(model="gpt-4o")

        assert [event.agent for event in metering.events()] == ["unattributed"]
        assert meter.stats().dropped == {}


def test_a_lost_event_leaves_a_gap_in_the_running_numbers(metering: Meter) -> None:
    meter.record(model="gpt-4o")
    meter.record(model="gpt-4o", input_tokens=-1)
    meter.record(model="gpt-4o")

    assert [event.seq for event in metering.events()] == [0, 2]


def test_each_workspace_has_its_own_running_numbers(metering: Meter) -> None:
    for workspace in ("acme", "other", "acme"):
        meter.record(model="gpt-4o", workspace=workspace)

    numbers = [(event.workspace, event.seq) for event in metering.events()]
    assert numbers == [("acme", 0), ("other", 0), ("acme", 1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": PROMPT},
        {"status": PROMPT},
        {"time": PROMPT},
        {"cost": PROMPT},
        {"input_tokens": PROMPT},
        {"tags": {PROMPT: 1}},
        {PROMPT: 1},
        {"model": PROMPT * 100},
        {"lost": {PROMPT: PROMPT}},
    ],
)
def test_no_value_is_ever_logged(
    metering: Meter, caplog: pytest.LogCaptureFixture, fields: dict[str, object]
) -> None:
    with caplog.at_level(logging.DEBUG):
        meter.record(fields)

    assert meter.stats().dropped == {"invalid": 1}
    assert "hunter2" not in caplog.text


def test_the_same_mistake_is_logged_once(metering: Meter, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        meter.record(input_tokens=-1)
        meter.record(output_tokens=-1)

    assert [record.getMessage() for record in caplog.records] == [
        "a usage event was dropped, invalid: $.input_tokens: of the wrong type or out of range;"
        " the next such ones are not logged",
        "a usage event was dropped, invalid: $.output_tokens: of the wrong type or out of range;"
        " the next such ones are not logged",
    ]


def test_fifty_threads_share_one_exact_sequence(metering: Meter) -> None:
    metering.outbox.room = 20_000

    def work(number: int) -> None:
        with meter.attribute(session=f"s-{number}"):
            for _ in range(200):
                meter.record(model="gpt-4o")
            meter.record(input_tokens=-1)

    threads = [Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    events = metering.events()
    by_session = Counter(event.session for event in events)
    assert set(by_session.values()) == {200}
    assert len({event.seq for event in events}) == 10_000
    assert max(event.seq or 0 for event in events) < 10_050
    assert meter.stats().dropped == {"invalid": 50}
    assert meter.stats().recorded == 10_050


def test_without_brokers_events_are_counted_by_agent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TOLLWAY_BROKERS", raising=False)
    before = install(None)
    try:
        with caplog.at_level(logging.INFO, logger="tollway"):
            meter.init()
            for _ in range(3):
                meter.record(agent="bot", model="gpt-4o")
            meter.record(agent="writer", model="gpt-4o")
            meter.check(agent="bot")

        assert meter.stats().tally == {"bot": 3, "writer": 1}
        assert meter.stats().guard == "off"
        assert meter.flush() == 0
        assert caplog.text.count("no TOLLWAY_BROKERS") == 1
    finally:
        install(before)
