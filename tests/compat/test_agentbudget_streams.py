"""Streams in a session: the host's own to read, counted where they end, whoever reads them."""

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fake_clients import (
    FakeAsyncCompletions,
    FakeCompletions,
    FakeStream,
    client_of,
    said,
    usage_chunk,
)
from tollway.compat import agentbudget
from tollway.compat.agentbudget import AgentBudget, BudgetExhausted


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_stream_is_counted_at_its_end_and_shows_no_chunk_that_was_not_asked_for() -> None:
    completions = FakeCompletions()
    client = client_of(completions)

    with AgentBudget(5).session() as session:
        agentbudget.wrap_client(client, session)
        with client.chat.completions.create(model="gpt-4o", stream=True) as stream:
            texts = [chunk.choices[0].delta.content for chunk in stream]

    assert texts == ["a", "b"]
    assert stream.response == "the http response"
    assert session.spent == 0.00325
    assert completions.stream is not None
    assert completions.stream.closed


def test_a_stream_whose_host_said_what_it_wants_is_left_as_it_is() -> None:
    completions = FakeCompletions()
    client = client_of(completions)
    options = {"include_usage": True}

    with AgentBudget(5).session() as session:
        agentbudget.wrap_client(client, session)
        stream = client.chat.completions.create(model="gpt-4o", stream=True, stream_options=options)
        counts = [len(chunk.choices) for chunk in stream]

    assert counts == [1, 1, 0]
    assert completions.asked[0]["stream_options"] is options


def test_a_stream_that_goes_over_is_refused_at_its_end() -> None:
    client = client_of(FakeCompletions())

    with AgentBudget(0.001).session() as session:
        agentbudget.wrap_client(client, session)
        stream = client.chat.completions.create(model="gpt-4o", stream=True)
        assert [next(stream), next(stream)]
        with pytest.raises(BudgetExhausted):
            next(stream)

    assert session.spent == 0.00325


def test_a_stream_that_is_let_go_is_an_event_of_its_own_and_is_marked() -> None:
    client = client_of(FakeCompletions())

    with AgentBudget(5).session() as session:
        agentbudget.wrap_client(client, session)
        stream = client.chat.completions.create(model="gpt-4o", stream=True)
        next(stream)
        stream.close()

    report: Any = session.report()  # Any: JSON
    assert report["breakdown"]["llm"]["calls"] == 1
    assert [entry.usage_missing for entry in session.books.entries if entry.kind == "llm"] == [True]


def test_a_stream_that_another_thread_reads_counts_in_the_session_that_made_the_call() -> None:
    client = client_of(FakeCompletions())
    with AgentBudget(5).session() as session:
        agentbudget.wrap_client(client, session)
        read, dropped, closed = (
            client.chat.completions.create(model="gpt-4o", stream=True, user=name)
            for name in ("read", "dropped", "closed")
        )

    in_a_thread(lambda: list(read))
    in_a_thread(lambda: [next(closed), closed.close()])
    next(dropped)
    del dropped
    gc.collect()

    entries = [entry for entry in session.books.entries if entry.kind == "llm"]
    assert [entry.usage_missing for entry in entries] == [False, True, True]
    assert session.spent == 0.00325


def test_a_stream_that_is_wrapped_is_left_to_its_reader_and_counted_at_its_end() -> None:
    with AgentBudget(5).session() as session:
        stream = session.wrap(FakeStream([said("a"), usage_chunk()]))
        assert session.spent == 0.0
        counts = [len(chunk.choices) for chunk in stream]

    assert counts == [1, 0]
    assert session.spent == 0.00325


def test_an_asynchronous_stream_is_counted_at_its_end() -> None:
    completions = FakeAsyncCompletions()
    client = client_of(completions)
    session = AgentBudget(5).async_session()

    async def run() -> list[str]:
        async with session:
            agentbudget.wrap_client(client, session)
            async with await client.chat.completions.create(model="gpt-4o", stream=True) as stream:
                return [chunk.choices[0].delta.content async for chunk in stream]

    assert asyncio.run(run()) == ["a", "b"]
    assert session.spent == 0.00325
    assert completions.stream is not None
    assert completions.stream.closed
