"""Claude Agent SDK, with a program in the place of Claude Code that speaks its protocol.

The real program is not run: what it says here is what the SDK's types say of it, and the usage of
recorded responses of Anthropic's where there is one."""

import asyncio
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, query

from canary import PROMPT
from claude_code import MODEL, FakeClaudeCode, assistant, result, stream_event, total
from claude_talks import TOOL_USE, asked, hello, talking
from metered_once import cost_pico
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "claude_agent_sdk",
    lacks={"retry": "Claude Code retries by itself, and tells only what came of it"},
)

TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
)


def tokens(event: UsageEvent) -> tuple[int, ...]:
    return tuple(getattr(event, name) for name in TOKENS)


@pytest.mark.shows("meter", "async")
def test_a_response_that_comes_in_parts_is_one_event(running: Meter) -> None:
    usage: dict[str, Any] = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 1000,
    }

    async def turn(program: FakeClaudeCode) -> None:
        program.say(assistant("msg_1", **usage))
        program.say(assistant("msg_1", TOOL_USE, **usage))
        known = total(
            inputTokens=10, outputTokens=5, cacheReadInputTokens=100, cacheCreationInputTokens=1000
        )
        program.say(result(**{MODEL: known}))

    messages = asyncio.run(asked(FakeClaudeCode(turn)))
    assert [type(each).__name__ for each in messages] == [
        "AssistantMessage",
        "AssistantMessage",
        "ResultMessage",
    ]
    (event,) = running.events()
    assert (event.id, event.source) == ("msg_1", "anthropic")
    assert (event.provider, event.model, event.session) == ("anthropic", MODEL, "talk-1")
    assert tokens(event) == (1110, 5, 100, 1000, 0)
    assert event.tool_calls == 1
    assert event.tags == {"framework": "claude_agent_sdk"}
    # $3 for a million tokens in, $15 out; a tenth of it for what is read, 1.25 for what is written.
    assert cost_pico(event) == 10 * 3_000_000 + 5 * 15_000_000 + 100 * 300_000 + 1000 * 3_750_000


def test_a_result_adds_only_what_no_response_has_told(running: Meter) -> None:
    async def turn(program: FakeClaudeCode) -> None:
        program.say(assistant("msg_1", input_tokens=10, output_tokens=1))
        known = total(inputTokens=10, outputTokens=40)
        helper = total(inputTokens=7, outputTokens=3)
        program.say(result(**{MODEL: known, "claude-haiku-4-5-20251001": helper}))

    asyncio.run(asked(FakeClaudeCode(turn)))
    assert [(event.model, *tokens(event)[:2]) for event in running.events()] == [
        (MODEL, 10, 1),
        ("claude-sonnet-4-5", 0, 39),
        ("claude-haiku-4-5", 7, 3),
    ]


@pytest.mark.parametrize(
    "name", ["claude-sonnet-4-5", f"{MODEL}[1m]", f"us.anthropic.{MODEL}-v1:0"]
)
def test_a_model_by_another_name_is_not_counted_twice(running: Meter, name: str) -> None:
    async def turn(program: FakeClaudeCode) -> None:
        program.say(assistant("msg_1", input_tokens=10, output_tokens=5))
        program.say(result(**{name: total(inputTokens=10, outputTokens=5)}))

    asyncio.run(asked(FakeClaudeCode(turn)))
    assert [tokens(event)[:2] for event in running.events()] == [(10, 5)]


def test_totals_run_on_over_the_turns_of_a_client_and_begin_anew_after_a_reset(
    running: Meter,
) -> None:
    async def second(program: FakeClaudeCode) -> None:
        program.say(assistant("msg_2", input_tokens=20, output_tokens=5))
        program.say(result(**{MODEL: total(inputTokens=30, outputTokens=12)}))

    async def third(program: FakeClaudeCode) -> None:
        reset = {"new_conversation_id": "c2", "uuid": "u", "session_id": "talk-1"}
        program.say({"type": "conversation_reset", **reset})
        program.say(result(**{MODEL: total(inputTokens=4, outputTokens=2)}))

    async def talk() -> None:
        program = FakeClaudeCode(hello, second, third)
        async with ClaudeSDKClient(transport=program) as client:
            for _ in range(3):
                await client.query(PROMPT)
                assert [each async for each in client.receive_response()]

    asyncio.run(talk())
    assert [tokens(event)[:2] for event in running.events()] == [(10, 5), (20, 5), (0, 2), (4, 2)]


@pytest.mark.shows("stream")
def test_partial_messages_tell_what_a_response_used_to_its_end(running: Meter) -> None:
    async def turn(program: FakeClaudeCode) -> None:
        begun = {"id": "msg_1", "model": MODEL, "usage": {"input_tokens": 10, "output_tokens": 1}}
        program.say(stream_event({"type": "message_start", "message": begun}))
        program.say(assistant("msg_1", input_tokens=10, output_tokens=1))
        program.say(stream_event({"type": "message_delta", "usage": {"output_tokens": 40}}))
        program.say(result(**{MODEL: total(inputTokens=10, outputTokens=40)}))

    options = ClaudeAgentOptions(include_partial_messages=True)
    asyncio.run(asked(FakeClaudeCode(turn), options))
    (event,) = running.events()
    assert (event.id, *tokens(event)[:2]) == ("msg_1", 10, 40)


@pytest.mark.shows("abort")
def test_a_host_that_reads_no_further_has_aborted_what_is_open(running: Meter) -> None:
    async def turn(program: FakeClaudeCode) -> None:
        program.say(assistant("msg_1", input_tokens=10, output_tokens=1))

    async def begin() -> None:
        messages = query(prompt=PROMPT, transport=FakeClaudeCode(turn))
        assert await anext(messages)
        await messages.aclose()
        # The SDK leaves its generators to the loop.
        while not running.events():
            await asyncio.sleep(0)

    asyncio.run(begin())
    (event,) = running.events()
    assert (event.id, event.status, event.usage_missing) == ("msg_1", "aborted", True)
    assert tokens(event)[:2] == (10, 1)


@pytest.mark.shows("block")
def test_a_blocked_agent_is_not_asked(running: Meter) -> None:
    program = FakeClaudeCode(hello)

    async def by_client() -> None:
        async with ClaudeSDKClient(transport=program) as client:
            running.block(agent="test")
            await client.query(PROMPT)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(by_client())
    with pytest.raises(meter.CallBlocked):
        asyncio.run(asked(program))
    with pytest.raises(meter.CallBlocked):
        asyncio.run(by_client())
    assert program.prompts == []
    assert running.events() == []


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_one_event(running: Meter) -> None:
    async def turn(program: FakeClaudeCode) -> None:
        program.say({**result(), "is_error": True, "api_error_status": 529})

    asyncio.run(asked(FakeClaudeCode(turn)))
    (event,) = running.events()
    assert (event.provider, event.status, event.usage_missing) == ("anthropic", "error", True)


@pytest.mark.shows("concurrent")
def test_conversations_that_run_at_a_time_do_not_mix(running: Meter) -> None:
    async def run(number: int) -> None:
        with meter.attribute(customer=f"customer-{number}", session=f"run-{number}"):
            await asked(FakeClaudeCode(talking(number)))

    async def all_runs() -> None:
        await asyncio.gather(*(run(number) for number in range(1, 6)))

    asyncio.run(all_runs())
    told = [(event.kind, event.session, event.customer) for event in running.events()]
    assert sorted(told) == sorted(
        (kind, f"run-{number}", f"customer-{number}")
        for number in range(1, 6)
        for kind in ("llm", "tool")
    )
