"""Threads, tasks, generators and streams keep the session that they belong to."""

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tollway import meter
from tollway.producers.testing import Meter, metered

pytestmark = pytest.mark.filterwarnings("ignore::tollway.producers.errors.SpendWarning")

# gpt-4o's list price: 2.50 dollars a million input tokens, 10.00 a million output tokens.
CALL = {"provider": "openai", "model": "gpt-4o", "input_tokens": 400, "output_tokens": 100}
CALL_USD = Decimal("0.002")


@pytest.fixture(autouse=True)
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def spend(dollars: str, **more: object) -> None:
    meter.record(kind="tool", tool="spender", cost=dollars, **more)


# --- threads, tasks, generators ----------------------------------------------------------------


def test_sessions_of_two_hundred_tasks_do_not_mix() -> None:
    async def one(number: int) -> Decimal:
        async with meter.session("1000", session=f"run-{number}") as s:
            for _ in range(number % 5):
                spend("0.01")
                await asyncio.sleep(0)
        return s.spent

    async def all_of_them() -> list[Decimal]:
        return list(await asyncio.gather(*(one(number) for number in range(200))))

    assert asyncio.run(all_of_them()) == [Decimal(n % 5) / 100 for n in range(200)]


def test_tasks_that_a_session_starts_stay_in_it() -> None:
    async def work() -> None:
        spend("0.01")

    async def run() -> Decimal:
        async with meter.session("1") as s:
            await asyncio.gather(*(work() for _ in range(20)))
        return s.spent

    assert asyncio.run(run()) == Decimal("0.20")


def test_threads_spend_into_one_session_to_the_last_digit() -> None:
    with meter.session("1000") as s:

        def work() -> None:
            for _ in range(200):
                spend("0.01")

        threads = [threading.Thread(target=s.bind(work)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert s.spent == Decimal("40.00")
    assert s.report()["breakdown"]["tools"]["calls"] == 4000


def test_a_generators_steps_are_in_its_session_and_its_consumers_are_not() -> None:
    with meter.session("1") as inner:
        pass

    def steps() -> Iterator[int]:
        for number in range(3):
            spend("0.01")
            yield number

    with meter.session("1") as outer:
        for _ in inner.bind(steps)():
            spend("0.10")

    assert (inner.spent, outer.spent) == (Decimal("0.03"), Decimal("0.30"))


def chunks() -> Iterator[dict[str, object]]:
    yield {"id": "c-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": []}
    yield {**CHUNK_OF_USAGE}


CHUNK_OF_USAGE = {
    "id": "c-1",
    "object": "chat.completion.chunk",
    "model": "gpt-4o",
    "choices": [],
    "usage": {"prompt_tokens": 400, "completion_tokens": 100},
}


def test_a_stream_counts_in_the_session_that_made_it_whoever_reads_it(metering: Meter) -> None:
    with meter.session("1.00", session="maker") as s:
        stream = s.wrap_stream(chunks(), provider="openai")
    with meter.session("1.00") as reader:
        assert len(list(stream)) == 2

    assert (s.spent, reader.spent) == (CALL_USD, Decimal(0))
    assert [event.session for event in metering.events() if event.kind == "llm"] == ["maker"]


def test_wrap_hands_a_stream_on_and_leaves_it_to_its_reader() -> None:
    with meter.session("1.00") as s:
        wrapped = s.wrap(chunks(), provider="openai")
        assert s.spent == 0
        assert len(list(wrapped.response)) == 2

    assert s.spent == CALL_USD
