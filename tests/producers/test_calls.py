"""A call is asked for before it is made, and metered once, whoever reports it."""

import threading
from collections.abc import Iterator

import pytest

from tollway import meter
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, Usage, begin
from tollway.producers.streams import MeteredStream
from tollway.producers.testing import Meter, metered

USED = Usage(provider="openai", model="gpt-4o", input_tokens=10, output_tokens=5)


@pytest.fixture(autouse=True)
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def asked(framework: str = "openai", found: Fields | None = None, **more: str) -> Call:
    return begin(lambda: Asked(framework=framework, model="gpt-4o", found=found or {}, **more))  # type: ignore[arg-type]  # fields by name


def test_a_call_is_metered_with_its_framework_and_duration(metering: Meter) -> None:
    asked().used(USED)

    (event,) = metering.events()
    assert (event.model, event.input_tokens, event.tags) == ("gpt-4o", 10, {"framework": "openai"})
    assert event.duration_ms is not None


def test_a_block_is_raised_before_the_call_and_nothing_is_metered(metering: Meter) -> None:
    metering.block(model="gpt-4o")

    with pytest.raises(meter.CallBlocked):
        asked()
    assert metering.events() == []


def test_only_the_first_end_counts(metering: Meter) -> None:
    call = asked()
    call.used(USED)
    call.used(USED)
    call.failed(ValueError())
    call.aborted()

    assert len(metering.events()) == 1


def test_a_call_inside_of_a_call_of_its_kind_is_the_same_and_billed_once(metering: Meter) -> None:
    outer = asked("langchain", found={"agent": "planner", "session": "run-1"})
    with outer.running():
        inner = asked("openai")
        inner.used(USED)
    outer.used(USED)

    (event,) = metering.events()
    # The inner one meters; what the outer one knows is not lost.
    assert (event.agent, event.session) == ("planner", "run-1")
    assert event.tags == {"framework": "langchain"}


def test_a_tools_model_calls_are_billed_beside_the_tool(metering: Meter) -> None:
    tool = begin(lambda: Asked(kind="tool", framework="mcp", tool="summarize"))
    with tool.running():
        asked("openai").used(USED)
    tool.returned("done")

    assert [event.kind for event in metering.events()] == ["llm", "tool"]


def test_a_tool_that_uses_another_tool_and_itself_is_billed_for_each(metering: Meter) -> None:
    @meter.track_tool("0.05")
    def outer(depth: int) -> None:
        inner()
        if depth:
            outer(depth - 1)

    @meter.track_tool("0.01")
    def inner() -> None: ...

    outer(1)

    costs = [(event.tool, event.cost) for event in metering.events()]
    assert sorted(costs) == [
        *[("inner", "0.010000000000")] * 2,
        *[("outer", "0.050000000000")] * 2,
    ]


def test_one_tool_that_two_adapters_see_is_billed_once(metering: Meter) -> None:
    outer = begin(lambda: Asked(kind="tool", framework="langchain", tool="search"))
    with outer.running():
        begin(lambda: Asked(kind="tool", framework="mcp", tool="search")).returned("found")
    outer.returned("found")

    assert len(metering.events()) == 1


def test_what_the_host_attributes_wins_over_what_a_framework_knows(metering: Meter) -> None:
    with meter.attribute(agent="mine"):
        asked(found={"agent": "theirs", "session": "run-1"}).used(USED)

    (event,) = metering.events()
    assert (event.agent, event.session) == ("mine", "run-1")


def test_a_failed_call_is_metered_with_its_status_and_without_its_text(metering: Meter) -> None:
    asked().failed(ValueError("the prompt was: secret"))
    asked().failed(KeyboardInterrupt())
    begin(lambda: Asked(kind="tool", framework="mcp", tool="t")).failed(OSError())

    assert [(event.status, event.usage_missing) for event in metering.events()] == [
        ("error", True),
        ("aborted", True),
        ("error", False),
    ]
    assert all(b"secret" not in value for _, value in metering.outbox.records)


def test_an_adapter_that_does_not_understand_a_call_does_not_break_it(
    metering: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    def describe() -> Asked:
        raise KeyError("secret text")

    call = begin(describe)
    with call.running():
        call.used(USED)

    assert metering.events() == []
    assert meter.stats().guard_counts["internal"] >= 1
    assert "secret" not in caplog.text


def test_a_stream_is_counted_at_its_end_at_its_close_and_when_dropped(metering: Meter) -> None:
    chunks = [
        {"id": "c-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": []},
        {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "model": "gpt-4o",
            "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        },
    ]
    assert list(MeteredStream(iter(chunks), asked(provider="openai"))) == chunks
    closed = MeteredStream(iter(chunks), asked(provider="openai"))
    next(closed)
    closed.close()
    dropped = MeteredStream(iter(chunks), asked(provider="openai"))
    next(dropped)
    del dropped

    whole, cut, gone = metering.events()
    assert (whole.input_tokens, whole.status, whole.usage_missing) == (10, "ok", False)
    assert (cut.status, cut.usage_missing) == ("aborted", True)
    assert (gone.status, gone.usage_missing) == ("aborted", True)


def test_a_chunk_that_was_asked_for_by_us_is_not_shown(metering: Meter) -> None:
    chunks: list[dict[str, object]] = [
        {"choices": [1]},
        {"choices": [], "usage": {"prompt_tokens": 1}},
    ]
    shown = MeteredStream(iter(chunks), asked(), shown=lambda chunk: bool(chunk["choices"]))

    assert list(shown) == [{"choices": [1]}]


def test_calls_of_threads_do_not_enclose_each_other(metering: Meter) -> None:
    outer = asked("langchain")
    with outer.running():
        thread = threading.Thread(target=lambda: asked("openai").used(USED))
        thread.start()
        thread.join()
    outer.used(USED)

    assert len(metering.events()) == 2


def test_a_prompt_leaves_as_a_hash_only(metering: Meter) -> None:
    begin(lambda: Asked(framework="openai", model="gpt-4o", prompt="canary 7f3")).used(USED)

    (event,) = metering.events()
    assert event.prompt_hash
    assert b"canary" not in metering.outbox.records[0][1]
