"""Metering of OpenAI's SDK: chat completions and responses, against a replayed provider."""

import asyncio
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from answering import Answer, ReplayServer
from asking_openai import LACKS, MESSAGES, ask, async_client_of, client_of
from canary import PROMPT
from metered_once import assert_usage, expected_pico
from recordings import recording
from tollway import meter
from tollway.producers.adapters import openai as adapter
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai", lacks=LACKS)

TOOLS_CALLED = "chat_completions__tools__gpt-4o__73a2c"
RESPONSE = "openai/responses__reasoning_tools__gpt-5-mini__23c41"


@pytest.mark.shows("meter", "tool")
def test_a_chat_completion_is_one_event_with_its_usage_and_price(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/chat/completions", recorded.answer())
    completion = ask(client_of(server))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.id, event.source) == (completion.id, "openai")
    assert event.requested_model == "gpt-4o"
    assert event.tool_calls == 1
    assert event.tags == {"framework": "openai"}
    assert event.prompt_hash is not None
    assert event.attempt == 0


@pytest.mark.shows("block")
def test_a_blocked_call_never_reaches_the_provider(server: ReplayServer, running: Meter) -> None:
    running.block(model="gpt-4o")
    with pytest.raises(meter.CallBlocked):
        ask(client_of(server))
    with pytest.raises(meter.CallBlocked):
        ask(client_of(server), stream=True)
    with pytest.raises(meter.CallBlocked):
        asyncio.run(async_client_of(server).responses.create(model="gpt-4o", input=PROMPT))
    assert server.requests == []
    assert running.events() == []


@pytest.mark.shows("async")
def test_an_asynchronous_call_is_metered_as_well(server: ReplayServer, running: Meter) -> None:
    recorded = recording(RESPONSE)
    server.on("/responses", recorded.answer())
    asyncio.run(async_client_of(server).responses.create(model="gpt-5-mini", input=PROMPT))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.tool_calls == 1


@pytest.mark.shows("retry")
@pytest.mark.parametrize("status", [429, 500])
def test_a_retry_inside_the_sdk_is_one_call(
    server: ReplayServer, running: Meter, status: int
) -> None:
    recorded = recording(TOOLS_CALLED)
    busy = Answer(status=status, body=b'{"error": {}}', headers={"retry-after-ms": "1"})
    server.on("/chat/completions", busy, busy, recorded.answer())
    ask(client_of(server, max_retries=2))
    assert len(server.requests) == 3
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.attempt == 2


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_an_event_that_used_nothing(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "no"}}'))
    with pytest.raises(openai.BadRequestError):
        ask(client_of(server))
    (event,) = running.events()
    assert (event.status, event.usage_missing, event.input_tokens) == ("error", False, 0)
    assert (event.provider, event.model) == ("openai", "gpt-4o")


def test_an_answer_that_the_sdk_cannot_read_may_have_cost_something(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", Answer(body=b'{"id": 7, "choices": "none"}'))
    with pytest.raises(openai.APIResponseValidationError):
        ask(client_of(server, _strict_response_validation=True))
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("error", True)


def test_a_provider_that_is_not_there_may_have_used_something(
    server: ReplayServer, running: Meter
) -> None:
    client = OpenAI(api_key="test", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("error", True)


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    replies = [recorded.with_id(number).answer() for number in range(40)]
    server.on("/chat/completions", *replies)
    price = expected_pico(recorded, provider="openai")

    async def run(number: int) -> int:
        client = async_client_of(server)
        async with meter.session(agent=f"agent-{number}", session=f"run-{number}") as session:
            for step in range(number):
                asked: Any = [{"role": "user", "content": f"{PROMPT} {step}"}]
                await client.chat.completions.create(model="gpt-4o", messages=asked)
        return int(session.spent.scaleb(12))

    async def all_runs() -> list[int]:
        return await asyncio.gather(*(run(number) for number in range(1, 9)))

    assert asyncio.run(all_runs()) == [number * price for number in range(1, 9)]
    told = [(event.session, event.agent) for event in running.events() if event.kind == "llm"]
    assert sorted(told) == sorted(
        (f"run-{number}", f"agent-{number}") for number in range(1, 9) for _ in range(number)
    )


class Greeting(BaseModel):
    text: str


def test_a_parsed_completion_counts_once(server: ReplayServer, running: Meter) -> None:
    # Edited: a recorded answer whose text is the JSON that was asked for.
    recorded = recording("openai/chat_completions__cached__gpt-4.1__61450").edited(
        lambda body: body["choices"][0]["message"].update(content='{"text": "hello"}')
    )
    server.on("/chat/completions", recorded.answer())
    parsed = client_of(server).chat.completions.parse(
        model="gpt-4.1", messages=MESSAGES, response_format=Greeting
    )
    assert parsed.choices[0].message.parsed == Greeting(text="hello")
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_raw_response_is_counted_from_its_body(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/chat/completions", recorded.answer())
    raw = client_of(server).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES
    )
    assert raw.parse().usage.prompt_tokens == 46
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_response_worked_on_in_the_background_is_counted_when_it_is_done(
    server: ReplayServer, running: Meter
) -> None:
    done = recording(RESPONSE)
    # Edited: as it is while the work goes on.
    begun = done.edited(lambda body: body.update(status="queued", usage=None, output=[]))
    server.on("/responses", begun.answer())
    client = client_of(server)
    queued = client.responses.create(model="gpt-5-mini", input=PROMPT, background=True)
    server.on(f"/responses/{queued.id}", begun.answer(), done.answer())
    client.responses.retrieve(queued.id)
    assert running.events() == []
    for _ in range(3):
        client.responses.retrieve(queued.id)
    (event,) = running.events()
    assert_usage(event, done, provider="openai")
    assert event.prompt_hash is not None


@pytest.mark.our_fault
def test_a_fault_of_ours_is_not_the_hosts(
    server: ReplayServer, running: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(adapter._OpenAI, "asked", fail)
    server.on("/chat/completions", recording(TOOLS_CALLED).answer())
    assert ask(client_of(server)).usage.prompt_tokens == 46
    assert running.events() == []
