"""Clients whose calls count in a session: asked for before they are made, streams at their end."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tollway.compat import agentbudget
from tollway.compat.agentbudget import AgentBudget, BudgetExhausted

Chunk = SimpleNamespace
USAGE = SimpleNamespace(prompt_tokens=500, completion_tokens=200)


def said(text: str) -> Chunk:
    choice = SimpleNamespace(index=0, delta=SimpleNamespace(content=text), finish_reason=None)
    return Chunk(
        id="chatcmpl-1",
        object="chat.completion.chunk",
        model="gpt-4o",
        choices=[choice],
        usage=None,
    )


def usage_chunk() -> Chunk:
    return Chunk(
        id="chatcmpl-1",
        object="chat.completion.chunk",
        model="gpt-4o",
        choices=[],
        usage=USAGE,
    )


class FakeStream:
    """As OpenAI's: an iterator that is closed."""

    response = "the http response"

    def __init__(self, chunks: list[Chunk]) -> None:
        self._chunks = iter(chunks)
        self.closed = False

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def close(self) -> None:
        self.closed = True


class FakeAsyncStream:
    def __init__(self, chunks: list[Chunk]) -> None:
        self._chunks = iter(chunks)
        self.closed = False

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        try:
            return next(self._chunks)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        self.closed = True


def chunks_for(asked: dict[str, Any]) -> list[Chunk]:
    wanted = asked.get("stream_options", {}).get("include_usage")
    return [said("a"), said("b"), *([usage_chunk()] if wanted else [])]


class FakeCompletions:
    """OpenAI's door, with what came through it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.stream: FakeStream | None = None

    def create(self, **asked: Any) -> Any:  # noqa: ANN401 (as the client's own)
        self.asked.append(asked)
        if asked.get("stream"):
            self.stream = FakeStream(chunks_for(asked))
            return self.stream
        return SimpleNamespace(
            id=f"chatcmpl-{len(self.asked)}", object="chat.completion", model="gpt-4o", usage=USAGE
        )


class FakeAsyncCompletions:
    def __init__(self) -> None:
        self.stream: FakeAsyncStream | None = None

    async def create(self, **asked: Any) -> Any:  # noqa: ANN401 (as the client's own)
        self.stream = FakeAsyncStream(chunks_for(asked))
        return self.stream


def client_of(completions: object) -> Any:  # noqa: ANN401 (a client is whatever has the doors)
    return SimpleNamespace(chat=SimpleNamespace(completions=completions))


def test_a_client_that_is_wrapped_counts_and_another_does_not() -> None:
    mine, other = client_of(FakeCompletions()), client_of(FakeCompletions())

    with AgentBudget(5).session() as session:
        assert agentbudget.wrap_client(mine, session) is mine
        mine.chat.completions.create(model="gpt-4o", messages=[])
        other.chat.completions.create(model="gpt-4o", messages=[])

    assert session.spent == 0.00325


def test_a_call_with_nothing_left_is_not_made() -> None:
    completions = FakeCompletions()
    client = client_of(completions)

    with AgentBudget(0.00325).session() as session:
        agentbudget.wrap_client(client, session)
        client.chat.completions.create(model="gpt-4o")
        with pytest.raises(BudgetExhausted):
            client.chat.completions.create(model="gpt-4o")

    assert len(completions.asked) == 1


def test_the_same_prompt_again_and_again_is_a_loop_and_other_prompts_are_none() -> None:
    client = client_of(FakeCompletions())

    with AgentBudget(5, max_repeated_calls=3).session() as session:
        agentbudget.wrap_client(client, session)
        create = client.chat.completions.create
        for number in range(10):
            create(model="gpt-4o", messages=[{"role": "user", "content": str(number)}])
        for _ in range(2):
            create(model="gpt-4o", messages=[{"role": "user", "content": "again"}])
        with pytest.raises(agentbudget.LoopDetected):
            create(model="gpt-4o", messages=[{"role": "user", "content": "again"}])


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


def test_a_client_without_a_known_door_is_refused() -> None:
    with pytest.raises(TypeError, match=r"has none of chat\.completions"):
        agentbudget.wrap_client(object(), AgentBudget(5).session())


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> type[FakeCompletions]:
    """A library by OpenAI's name, with a class of its own for each test."""
    kind = type("Completions", (FakeCompletions,), {"create": FakeCompletions.create})
    names = ("openai", "openai.resources", "openai.resources.chat")
    for name in names:
        package = ModuleType(name)
        package.__path__ = []
        monkeypatch.setitem(sys.modules, name, package)
    module = ModuleType("openai.resources.chat.completions")
    vars(module)["Completions"] = kind
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return kind


def test_after_init_all_clients_count_and_after_teardown_none(
    installed: type[FakeCompletions],
) -> None:
    before = vars(installed)["create"]
    agentbudget.init("$5.00")
    installed().create(model="gpt-4o")
    report: Any = agentbudget.teardown()  # Any: JSON
    installed().create(model="gpt-4o")

    assert (report["total_spent"], agentbudget.spent()) == (0.00325, 0.0)
    assert vars(installed)["create"] is before


def test_what_ended_a_session_of_init_is_in_its_report(installed: type[FakeCompletions]) -> None:
    hard: list[object] = []
    agentbudget.init(0.001, on_hard_limit=hard.append)
    with pytest.raises(BudgetExhausted):
        installed().create(model="gpt-4o")
    report: Any = agentbudget.teardown()  # Any: JSON

    assert (report["terminated_by"], report["total_spent"]) == ("budget_exhausted", 0.00325)
    assert len(hard) == 1


def test_a_wrapped_client_counts_in_its_own_session_and_once(
    installed: type[FakeCompletions],
) -> None:
    agentbudget.init("$5.00")
    client = client_of(installed())
    with AgentBudget(5).session() as session:
        agentbudget.wrap_client(client, session)
        client.chat.completions.create(model="gpt-4o")
    agentbudget.teardown()

    assert len([entry for entry in session.books.entries if entry.kind == "llm"]) == 1
    assert session.spent == 0.00325


def in_a_thread(work: Callable[[], object]) -> object:
    given: list[object] = []
    thread = threading.Thread(target=lambda: given.append(work()))
    thread.start()
    thread.join()
    return given[0]


def test_a_thread_begins_without_a_session_and_ends_nobody_elses() -> None:
    agentbudget.init("$5.00", session_id="main")

    assert in_a_thread(agentbudget.get_session) is None
    assert in_a_thread(agentbudget.teardown) is None
    report: Any = agentbudget.teardown()  # Any: JSON
    assert report["session_id"] == "main"
