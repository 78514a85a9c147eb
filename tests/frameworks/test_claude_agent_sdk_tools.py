"""Claude's tools and hooks: asked for before they run, and what a refusal does to a turn."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, HookMatcher, query

from canary import PROMPT
from claude_code import MODEL, FakeClaudeCode, assistant, result, total, user
from claude_talks import TOOL_USE, Framework, asked, hello, of_kind, talking
from tollway import meter
from tollway.producers.adapters import claude_agent_sdk as adapter
from tollway.producers.adapters import claude_conversation, claude_turns, uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "claude_agent_sdk",
    lacks={"retry": "Claude Code retries by itself, and tells only what came of it"},
)


@pytest.mark.shows("tool")
def test_a_tool_is_an_event_of_its_own(running: Meter) -> None:
    async def turn(program: FakeClaudeCode) -> None:
        program.say(assistant("msg_1", TOOL_USE, input_tokens=10, output_tokens=5))
        assert await program.tool("Bash", 1, {"command": "ls"}, "a file of 12 bytes")
        program.say(user())
        assert await program.tool("mcp__shop__find", 2, {"what": "tea"}, ValueError(PROMPT))
        program.say(result())

    asyncio.run(asked(FakeClaudeCode(turn)))
    ran, failed = of_kind(running, "tool")
    assert (ran.tool, ran.status, ran.session, ran.duration_ms) == ("Bash", "ok", "talk-1", 7)
    assert ran.args_hash is not None
    assert ran.result_hash is not None
    assert ran.result_tokens == 4
    assert (failed.tool, failed.connection, failed.status) == ("find", "shop", "error")


def test_a_blocked_tool_does_not_run_and_ends_the_turn(running: Meter) -> None:
    ran: list[bool] = []
    running.block(tool="Bash")

    async def turn(program: FakeClaudeCode) -> None:
        program.say(assistant("msg_1", TOOL_USE, input_tokens=10, output_tokens=5))
        ran.append(await program.tool("Bash", 1, {"command": "ls"}, "seen"))
        program.say(result(**{MODEL: total(inputTokens=10, outputTokens=5)}))

    with pytest.raises(meter.CallBlocked):
        asyncio.run(asked(FakeClaudeCode(turn)))
    assert ran == [False]
    assert [event.kind for event in running.events()] == ["llm"]


def test_an_agent_that_is_blocked_while_it_runs_runs_no_further_tool(running: Meter) -> None:
    ran: list[bool] = []

    async def turn(program: FakeClaudeCode) -> None:
        ran.append(await program.tool("Bash", 1, {"command": "ls"}, "seen"))
        running.block(agent="test")
        ran.append(await program.tool("Bash", 2, {"command": "ls"}, "seen"))
        program.say(result())

    with pytest.raises(meter.CallBlocked):
        asyncio.run(asked(FakeClaudeCode(turn)))
    assert ran == [True, False]


@pytest.mark.shows("agent name")
def test_a_subagents_calls_are_its_own(running: Meter) -> None:
    task = {"id": "toolu_9", "name": "Task", "input": {"subagent_type": "reviewer", "prompt": "x"}}

    async def turn(program: FakeClaudeCode) -> None:
        asks = {"type": "tool_use", **task}
        program.say(assistant("msg_1", asks, input_tokens=10, output_tokens=5))
        program.say(assistant("msg_2", parent="toolu_9", input_tokens=20, output_tokens=6))
        told = {"tool_name": "Read", "tool_input": {}, "tool_use_id": "toolu_3"}
        await program.hooked("PreToolUse", {**told, "agent_type": "reviewer"})
        await program.hooked("PostToolUse", {**told, "tool_response": "text"})
        program.say(result(**{MODEL: total(inputTokens=30, outputTokens=11)}))

    asyncio.run(asked(FakeClaudeCode(turn)))
    assert [(event.kind, event.agent, event.input_tokens) for event in running.events()] == [
        ("tool", "reviewer", 0),
        ("llm", "test", 10),
        ("llm", "reviewer", 20),
    ]


@pytest.mark.parametrize("attached", [False, True])
def test_a_conversation_alone_meters_and_with_all_attached_no_more(
    running: Meter, attached: bool
) -> None:
    if not attached:
        uninstrument()
    seen: list[str] = []

    async def own(given: Framework, tool_use_id: str | None, context: Framework) -> Framework:
        seen.append(given["tool_name"])
        return {}

    async def run() -> None:
        conversation = adapter.Conversation()
        hooks = conversation.hooks()
        hooks["PreToolUse"].insert(0, HookMatcher(hooks=[own]))
        messages = query(
            prompt=PROMPT,
            options=ClaudeAgentOptions(hooks=hooks),
            transport=FakeClaudeCode(talking(1)),
        )
        assert [each async for each in conversation.metered(messages)]

    asyncio.run(run())
    assert seen == ["Bash"]
    assert sorted(event.kind for event in running.events()) == ["llm", "tool"]


def test_a_conversation_alone_blocks_its_prompt_by_a_hook(running: Meter) -> None:
    uninstrument()
    answers: list[Framework] = []

    async def turn(program: FakeClaudeCode) -> None:
        running.block(agent="test")
        answers.extend(await program.hooked("UserPromptSubmit", {"prompt": PROMPT}))
        program.say(result())

    async def run() -> None:
        conversation = adapter.Conversation()
        options = ClaudeAgentOptions(hooks=conversation.hooks())
        messages: AsyncGenerator[Framework, None] = query(
            prompt=PROMPT, options=options, transport=FakeClaudeCode(turn)
        )
        async for _ in conversation.metered(messages):
            pass

    with pytest.raises(meter.CallBlocked):
        asyncio.run(run())
    assert [(answer["decision"], answer["continue"]) for answer in answers] == [("block", False)]


def test_the_hosts_options_stay_as_they_are(running: Meter) -> None:
    options = ClaudeAgentOptions()

    async def talk() -> None:
        async with ClaudeSDKClient(options, transport=FakeClaudeCode(hello)) as client:
            assert client.options is options
            await client.query(PROMPT)
            assert [each async for each in client.receive_response()]

    asyncio.run(talk())
    assert options.hooks is None
    assert len(running.events()) == 1


@pytest.mark.our_fault
def test_a_fault_of_ours_is_not_the_hosts(running: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError(PROMPT)

    monkeypatch.setattr(claude_turns.Turns, "read", broken)
    monkeypatch.setattr(claude_conversation, "_asked_tool", broken)
    assert len(asyncio.run(asked(FakeClaudeCode(talking(1))))) == 2
    assert running.events() == []
