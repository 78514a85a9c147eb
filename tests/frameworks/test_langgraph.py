"""LangGraph's graphs: whose calls they are, tools as events, a refusal that gets out of them."""

import asyncio

import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

from answering import Answer, ReplayServer
from graphs import ANSWERS, ASKED, asks_for_tool, graph, ran, scripted
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("langchain")


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@pytest.mark.shows("tool", "agent name")
def test_a_run_is_its_models_and_its_tools_of_one_agent_and_one_session(
    server: ReplayServer, running: Meter
) -> None:
    asking, answering = asks_for_tool(), recording(ANSWERS)
    scripted(server, asking, answering)

    graph(server).invoke(ASKED)

    first, used, last = running.events()
    assert_usage(first, asking, provider="openai")
    assert_usage(last, answering, provider="openai")
    assert first.tool_calls == 1
    assert (used.kind, used.tool, used.status) == ("tool", "look_up", "ok")
    assert used.args_hash is not None
    assert used.result_hash is not None
    assert used.result_tokens == 4
    assert used.duration_ms is not None
    events = (first, used, last)
    assert {event.agent for event in events} == {"researcher"}
    assert len({event.session for event in events}) == 1
    assert first.session is not None
    assert first.tags == {"framework": "langgraph", "langgraph_node": "think"}
    assert used.tags == {"framework": "langgraph", "langgraph_node": "tools"}


def test_a_thread_is_the_session_of_its_runs_and_otherwise_each_run_is_one(
    server: ReplayServer, running: Meter
) -> None:
    answering = recording(ANSWERS)
    scripted(server, *(answering.with_id(number) for number in range(4)))
    remembering = graph(server, checkpointer=InMemorySaver())

    for _ in range(2):
        remembering.invoke(ASKED, {"configurable": {"thread_id": "thread-7"}})
    for _ in range(2):
        graph(server).invoke(ASKED)

    sessions = [event.session for event in running.events()]
    assert sessions[:2] == ["thread-7", "thread-7"]
    assert len(set(sessions)) == 3


def test_what_the_host_says_wins(server: ReplayServer, running: Meter) -> None:
    scripted(server, recording(ANSWERS))

    with meter.attribute(agent="mine", session="run-1", customer="acme"):
        graph(server).invoke(ASKED)

    (event,) = running.events()
    assert (event.agent, event.session, event.customer) == ("mine", "run-1", "acme")


def test_the_nearest_named_agent_makes_the_call(server: ReplayServer, running: Meter) -> None:
    scripted(server, asks_for_tool("ask_writer"), recording(ANSWERS), recording(ANSWERS).with_id(2))
    writer = graph(server, name="writer")

    def ask_writer(word: str) -> str:
        """Asks another agent."""
        return str(writer.invoke(ASKED)["messages"][-1].content)

    graph(server, [tool(ask_writer)], name="editor").invoke(ASKED)

    assert [(event.kind, event.agent) for event in running.events()] == [
        ("llm", "editor"),
        ("llm", "writer"),
        ("tool", "editor"),
        ("llm", "editor"),
    ]
    assert len({event.session for event in running.events()}) == 1


def test_a_graph_that_is_a_node_is_an_agent(server: ReplayServer, running: Meter) -> None:
    scripted(server, recording(ANSWERS))
    outer = StateGraph(MessagesState)
    outer.add_node("writer", graph(server, name=None))
    outer.add_edge(START, "writer")

    outer.compile(name="editor").invoke(ASKED)

    (event,) = running.events()
    assert event.agent == "writer"


def test_the_agent_that_create_agent_names_is_the_events(
    server: ReplayServer, running: Meter
) -> None:
    scripted(server, recording(ANSWERS))
    named = graph(server, name=None).with_config({"metadata": {"lc_agent_name": "planner"}})

    named.invoke(ASKED)

    (event,) = running.events()
    assert event.agent == "planner"


def test_a_graph_without_a_name_leaves_the_agent_of_the_process(
    server: ReplayServer, running: Meter
) -> None:
    scripted(server, recording(ANSWERS))

    graph(server, name=None).invoke(ASKED)

    (event,) = running.events()
    assert event.agent == "test"


@pytest.mark.parametrize("handles_errors", [True, False])
def test_a_blocked_tool_does_not_run_and_the_model_is_not_told(
    server: ReplayServer, running: Meter, handles_errors: bool
) -> None:
    scripted(server, asks_for_tool())
    running.block(tool="look_up")

    with pytest.raises(meter.CallBlocked):
        graph(server, handles_errors=handles_errors).invoke(ASKED)
    with pytest.raises(meter.CallBlocked):
        asyncio.run(graph(server, handles_errors=handles_errors).ainvoke(ASKED))

    assert ran == []
    assert [event.kind for event in running.events()] == ["llm", "llm"]


def test_a_blocked_model_is_not_tried_again(server: ReplayServer, running: Meter) -> None:
    running.block(agent="researcher")
    tries: list[int] = []
    retried = graph(
        server,
        retry=RetryPolicy(max_attempts=5, initial_interval=0.001),
        before=lambda: tries.append(1),
    )

    with pytest.raises(meter.CallBlocked):
        retried.invoke(ASKED)
    with pytest.raises(meter.CallBlocked):
        asyncio.run(retried.ainvoke(ASKED))
    with pytest.raises(meter.CallBlocked):
        list(retried.stream(ASKED, stream_mode="messages"))

    assert len(tries) == 3
    assert server.requests == []


def test_a_run_stops_at_the_budget_of_its_session(server: ReplayServer, running: Meter) -> None:
    # 46 and 11 tokens of gpt-4o are 225 millionths of a dollar.
    scripted(server, asks_for_tool(), recording(ANSWERS))

    with meter.session(budget="0.0002") as session, pytest.raises(meter.CallBlocked):
        graph(server).invoke(ASKED)

    assert len(server.requests) == 1
    assert ran == []
    assert session.report()["terminated_by"] == "hard_limit"


@pytest.mark.shows("error")
def test_a_tool_that_fails_is_an_event_that_says_so(server: ReplayServer, running: Meter) -> None:
    scripted(server, asks_for_tool(word="fails"), recording(ANSWERS))

    graph(server, handles_errors=True).invoke(ASKED)

    used = running.events()[1]
    assert (used.kind, used.tool, used.status) == ("tool", "look_up", "error")
    assert not used.usage_missing


def test_a_tool_that_waits_for_a_person_is_let_go_of_and_runs_anew(
    server: ReplayServer, running: Meter
) -> None:
    scripted(server, asks_for_tool("ask_person"), recording(ANSWERS))

    def ask_person(word: str) -> str:
        """Asks a person."""
        return str(interrupt(word))

    asking = graph(server, [tool(ask_person)], checkpointer=InMemorySaver())
    there = {"configurable": {"thread_id": "thread-1"}}
    asking.invoke(ASKED, there)
    asking.invoke(Command(resume="yes"), there)

    assert [(event.kind, event.status) for event in running.events()] == [
        ("llm", "ok"),
        ("tool", "aborted"),
        ("tool", "ok"),
        ("llm", "ok"),
    ]


def test_equal_calls_of_a_tool_have_equal_hashes(server: ReplayServer, running: Meter) -> None:
    scripted(server, asks_for_tool(), asks_for_tool().with_id(2), recording(ANSWERS))

    graph(server).invoke(ASKED)

    first, second = (event for event in running.events() if event.kind == "tool")
    assert first.args_hash == second.args_hash
    assert first.result_hash == second.result_hash


@pytest.mark.shows("stream")
def test_a_graph_that_streams_messages_is_counted_at_their_end(
    server: ReplayServer, running: Meter
) -> None:
    streamed = recording("chat_completions__stream__gpt-4__6d197")
    server.on("/chat/completions", streamed.answer())
    model = ChatOpenAI(
        model="gpt-4", base_url=f"{server.url}/v1", api_key="none", stream_usage=True
    )
    built = StateGraph(MessagesState)
    built.add_node("think", lambda state: {"messages": [model.invoke(state["messages"])]})
    built.add_edge(START, "think")

    parts = list(built.compile(name="talker").stream(ASKED, stream_mode="messages"))

    assert len(parts) > 3
    (event,) = running.events()
    assert_usage(event, streamed, provider="openai")
    assert event.agent == "talker"


@pytest.mark.shows("concurrent", "async")
def test_runs_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    counter = iter(range(1000))
    asking, answering = asks_for_tool(), recording(ANSWERS)

    def reply(seen: object) -> Answer:
        number = next(counter)
        text = getattr(seen, "body", b"")
        answered = b'"role":"tool"' in text or b'"role": "tool"' in text
        return (answering if answered else asking).with_id(number).answer()

    server.on("/chat/completions", reply)
    remembering = graph(server, checkpointer=InMemorySaver())

    async def runs() -> None:
        await asyncio.gather(
            *(
                remembering.ainvoke(ASKED, {"configurable": {"thread_id": f"thread-{number}"}})
                for number in range(10)
            )
        )

    asyncio.run(runs())

    counted: dict[str | None, list[str]] = {}
    for event in running.events():
        counted.setdefault(event.session, []).append(event.kind)
    assert counted == {f"thread-{number}": ["llm", "tool", "llm"] for number in range(10)}


@pytest.mark.framework("langchain", also=("openai",))
def test_with_the_sdks_adapter_below_the_graph_still_says_whose_a_call_is(
    server: ReplayServer, running: Meter
) -> None:
    scripted(server, asks_for_tool(), recording(ANSWERS))

    graph(server).invoke(ASKED)

    events = running.events()
    assert [event.kind for event in events] == ["llm", "tool", "llm"]
    assert {event.agent for event in events} == {"researcher"}
    assert len({event.session for event in events}) == 1
