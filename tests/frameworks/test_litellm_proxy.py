"""The handler for LiteLLM's proxy, called by LiteLLM itself; the proxy's own server is not here."""

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from answering import Answer, ReplayServer
from metered_once import assert_usage
from offline_litellm import MESSAGES, at, litellm
from recordings import recording
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("litellm", attach=False)

PLAIN = "chat_completions__plain__gpt-4o__0f050"
STREAM = "chat_completions__stream__gpt-4__6d197"
KEY = {
    "user_api_key_alias": "support-bot",
    "user_api_key_user_id": "ada",
    "user_api_key_team_alias": "sales",
}
# LiteLLM calls back from threads and tasks of its own.
CALLS_BACK_WITHIN_S = 20.0


@pytest.fixture
def handler() -> Iterator[Any]:
    from tollway.producers.adapters.litellm_proxy import proxy_handler

    of_litellm, ours = litellm(), proxy_handler()
    of_litellm.callbacks = [ours]
    yield ours
    for name in ("callbacks", "input_callback", "success_callback", "failure_callback"):
        setattr(of_litellm, name, [])
    for name in ("_async_success_callback", "_async_failure_callback"):
        setattr(of_litellm, name, [])


def the_event(running: Meter) -> UsageEvent:
    deadline = time.monotonic() + CALLS_BACK_WITHIN_S
    while not running.events() and time.monotonic() < deadline:
        time.sleep(0)
    (event,) = running.events()
    return event


def test_a_call_is_metered_with_what_its_key_says(
    server: ReplayServer, running: Meter, handler: object
) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())

    litellm().completion("openai/gpt-4o", MESSAGES, metadata=KEY, **at(server))

    event = the_event(running)
    assert_usage(event, recording(PLAIN), provider="openai")
    assert (event.agent, event.user) == ("support-bot", "ada")
    assert event.tags == {"framework": "litellm", "team": "sales"}
    assert event.duration_ms is not None


def test_asynchronous_calls_and_streams_are_metered_once(
    server: ReplayServer, running: Meter, handler: object
) -> None:
    server.on("/chat/completions", recording(STREAM).answer())

    async def streamed() -> UsageEvent:
        asking = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = await litellm().acompletion("gpt-4", MESSAGES, **asking, **at(server))
        assert [chunk async for chunk in chunks]
        while not running.events():
            await asyncio.sleep(0)
        return the_event(running)

    event = asyncio.run(streamed())

    assert_usage(event, recording(STREAM), provider="openai", model="gpt-4")


def test_a_call_that_a_provider_refuses_is_an_event_that_says_so(
    server: ReplayServer, running: Meter, handler: object
) -> None:
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "no"}}'))

    with pytest.raises(litellm().BadRequestError):
        litellm().completion("gpt-4o", MESSAGES, **at(server))

    event = the_event(running)
    assert (event.status, event.provider, event.model) == ("error", "openai", "gpt-4o")


@pytest.mark.parametrize(
    "subject",
    [{"agent": "support-bot"}, {"user": "ada"}, {"customer": "acme"}, {"model": "best"}],
)
def test_the_proxy_is_refused_before_it_routes(
    running: Meter,
    handler: Any,  # noqa: ANN401 (a class that LiteLLM makes a base of)
    subject: dict[str, str],
) -> None:
    key = SimpleNamespace(key_alias="support-bot", user_id="ada", end_user_id="acme")
    request = {"model": "best", "messages": MESSAGES}

    def asked() -> None:
        asyncio.run(handler.async_pre_call_hook(key, None, request, "acompletion"))

    asked()
    running.block(**subject)
    with pytest.raises(meter.CallBlocked):
        asked()
    # It leaves out hooks that a class only inherits.
    assert "async_pre_call_hook" in vars(type(handler))
