"""Attribution follows the flow of control, and mixes nobody's with anybody else's."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import pytest

from tollway import meter
from tollway.producers.testing import Meter, metered


@pytest.fixture
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def test_nested_attributions_merge_and_the_inner_wins(metering: Meter) -> None:
    with meter.attribute(user="ann", session="outer", tags={"team": "a", "env": "prod"}):
        with meter.attribute(session="inner", tags={"team": "b"}):
            meter.record(model="gpt-4o", tags={"step": "1"})
        meter.record(model="gpt-4o")

    inner, outer = metering.events()
    assert (inner.user, inner.session) == ("ann", "inner")
    assert inner.tags == {"team": "b", "env": "prod", "step": "1"}
    assert (outer.user, outer.session) == ("ann", "outer")
    assert outer.tags == {"team": "a", "env": "prod"}


def test_it_ends_with_its_block_also_when_that_raises(metering: Meter) -> None:
    with pytest.raises(KeyError), meter.attribute(user="ann"):
        raise KeyError

    meter.record(model="gpt-4o")
    assert metering.events()[0].user is None


def test_it_decorates_a_function_that_calls_itself(metering: Meter) -> None:
    @meter.attribute(user="ann")
    def work(depth: int) -> int:
        meter.record(model="gpt-4o")
        return depth if depth == 0 else work(depth - 1)

    work(2)
    meter.record(model="gpt-4o")

    assert [event.user for event in metering.events()] == ["ann", "ann", "ann", None]


def test_it_decorates_a_coroutine_function(metering: Meter) -> None:
    @meter.attribute(user="ann")
    async def work() -> str:
        await asyncio.sleep(0)
        meter.record(model="gpt-4o")
        return "done"

    assert asyncio.run(work()) == "done"
    assert metering.events()[0].user == "ann"


def test_a_generators_steps_are_attributed_and_what_runs_between_them_is_not(
    metering: Meter,
) -> None:
    @meter.attribute(user="ann")
    def numbers() -> Iterator[int]:
        for number in range(2):
            meter.record(model="gpt-4o")
            yield number

    for _ in numbers():
        meter.record(model="gpt-4o")

    assert [event.user for event in metering.events()] == ["ann", None, "ann", None]


def test_an_attributed_generator_is_sent_values_and_exceptions_as_before(metering: Meter) -> None:
    heard: list[object] = []

    @meter.attribute(user="ann")
    def steps() -> Generator[int, str, str]:
        try:
            heard.append((yield 1))
            yield 2
        except KeyError:
            heard.append("KeyError")
            meter.record(model="gpt-4o")
            return "caught"
        return "not caught"

    def around() -> Generator[int, str, str]:
        return (yield from steps())

    running = around()
    assert (next(running), running.send("a word")) == (1, 2)
    with pytest.raises(StopIteration, match="caught"):
        running.throw(KeyError)
    assert heard == ["a word", "KeyError"]
    assert metering.events()[0].user == "ann"


def test_a_generator_that_is_let_go_cleans_up_under_its_attribution(metering: Meter) -> None:
    @meter.attribute(user="ann")
    def steps() -> Iterator[int]:
        try:
            yield 1
        finally:
            meter.record(model="gpt-4o")

    running = steps()
    next(running)
    del running

    assert metering.events()[0].user == "ann"


def test_an_asynchronous_generators_steps_are_attributed(metering: Meter) -> None:
    @meter.attribute(user="ann")
    async def steps() -> AsyncGenerator[int, str]:
        try:
            meter.record(model=(yield 1))
            yield 2
        finally:
            meter.record(model="the end")

    async def consume() -> None:
        running = steps()
        await anext(running)
        await running.asend("gpt-4o")
        meter.record(model="outside")
        await running.aclose()

    asyncio.run(consume())

    assert [(event.model, event.user) for event in metering.events()] == [
        ("gpt-4o", "ann"),
        ("outside", None),
        ("the end", "ann"),
    ]


def test_an_unknown_name_is_an_error_at_once() -> None:
    misspelt: dict[str, Any] = {"sesion": "s-1"}  # Any: what a type checker would refuse
    with pytest.raises(TypeError, match="sesion"):
        meter.attribute(**misspelt)


def test_two_hundred_tasks_do_not_mix(metering: Meter) -> None:
    shared = meter.attribute(customer="corp")

    async def work(number: int) -> None:
        with shared, meter.attribute(session=f"s-{number}", user=f"u-{number}"):
            for _ in range(5):
                await asyncio.sleep(0)
                meter.record(model="gpt-4o", task=str(number))

    async def everybody() -> None:
        await asyncio.gather(*(work(number) for number in range(200)))

    asyncio.run(everybody())

    events = metering.events()
    assert len(events) == 1000
    for event in events:
        assert (event.session, event.user) == (f"s-{event.task}", f"u-{event.task}")
        assert event.customer == "corp"


def test_a_generator_that_is_left_open_does_not_keep_the_callers_attribution(
    metering: Meter,
) -> None:
    def numbers() -> Generator[int, None, None]:
        with meter.attribute(user="generator"):
            yield 1

    with meter.attribute(user="ann"):
        generator = numbers()
        next(generator)
    generator.close()
    meter.record(model="gpt-4o")

    assert metering.events()[0].user is None
