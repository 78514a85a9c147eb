"""Metering of OpenAI's SDK: which clients, which providers, and what else is billed."""

import json
from typing import Any

import httpx
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.adapters import openai as adapter
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai", attach=False)

# What the SDK gives; it has no types where these tests are checked.
Answered = Any
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
CHAT = "chat_completions__tools__gpt-4o__73a2c"


def client_of(server: ReplayServer, kind: type[OpenAI] = OpenAI) -> OpenAI:
    return kind(api_key="test", base_url=f"{server.url}/v1", max_retries=0)


def ask(client: OpenAI) -> Answered:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES)


class OwnClient(OpenAI):  # type: ignore[misc]  # has no types where this is checked
    pass


def test_clients_are_metered_from_instrument_to_uninstrument_whenever_they_were_made(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", *[recording(CHAT).with_id(n).answer() for n in range(9)])
    before = client_of(server)
    request = vars(OpenAI).get("request")
    instrument("openai")
    ask(before)
    ask(client_of(server))
    ask(client_of(server, OwnClient))
    ask(before.with_options(timeout=5))
    assert len(running.events()) == 4
    uninstrument("openai")
    ask(before)
    assert len(running.events()) == 4
    assert vars(OpenAI).get("request") is request


def test_a_wrapped_client_is_metered_alone_and_with_what_is_made_of_it(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(CHAT)
    server.on("/chat/completions", *[recorded.with_id(n).answer() for n in range(9)])
    other, client = client_of(server), adapter.wrap(client_of(server))
    ask(other)
    assert running.events() == []
    assert isinstance(client, OpenAI)
    ask(client)
    ask(client.with_options(timeout=5))
    assert len(running.events()) == 2
    assert_usage(running.events()[0], recorded, provider="openai")


def test_a_wrapped_client_in_an_instrumented_process_counts_once(
    server: ReplayServer, running: Meter
) -> None:
    busy = Answer(status=500, body=b"{}", headers={"retry-after-ms": "1"})
    server.on("/chat/completions", busy, recording(CHAT).answer())
    client = adapter.wrap(adapter.wrap(client_of(server)))
    instrument("openai")
    ask(client.with_options(max_retries=1))
    (event,) = running.events()
    assert event.attempt == 1


def test_azure_is_azure_wherever_it_is(server: ReplayServer, running: Meter) -> None:
    recorded = recording("azure_openai/chat_completions__tools__gpt-4o__1a9a0")
    server.on("/openai/deployments/mine/chat/completions", recorded.answer())
    instrument("openai")
    client = AzureOpenAI(api_key="test", api_version="2024-10-21", azure_endpoint=server.url)
    client.chat.completions.create(model="mine", messages=MESSAGES)
    (event,) = running.events()
    assert_usage(event, recorded, provider="azure")
    assert event.requested_model == "mine"


@pytest.mark.parametrize(
    ("base_url", "name", "provider"),
    [
        ("http://api.groq.com/openai/v1", "groq/chat_completions__plain__llama-3.3", "groq"),
        ("http://api.deepseek.com", "deepseek/vercel__deepseek-text.json", "deepseek"),
        ("http://openrouter.ai/api/v1", "chat_completions__plain__gpt-5-mini__39f8b", "openrouter"),
        ("http://api.together.xyz/v1", "together/chat_completions__plain", "together"),
        ("http://api.mistral.ai/v1", "chat_completions__plain__mistral-medium", "mistral"),
    ],
)
def test_another_provider_is_known_by_its_address(
    server: ReplayServer, running: Meter, base_url: str, name: str, provider: str
) -> None:
    recorded = recording(name)
    server.on("/chat/completions", recorded.answer())
    instrument("openai")
    # The server stands in as a proxy: the address is the provider's own.
    http = httpx.Client(proxy=server.url)
    client = OpenAI(api_key="test", base_url=base_url, http_client=http, max_retries=0)
    ask(client)
    (event,) = running.events()
    assert_usage(event, recorded, provider=provider)


def test_ollama_is_known_by_its_port(server: ReplayServer, running: Meter) -> None:
    recorded = recording("ollama/chat_completions__tools")
    server.on("/chat/completions", recorded.answer())
    instrument("openai")
    http = httpx.Client(proxy=server.url)
    client = OpenAI(api_key="test", base_url="http://ollama.test:11434/v1", http_client=http)
    ask(client)
    (event,) = running.events()
    assert (event.provider, event.input_tokens) == ("ollama", recorded.expected.input)


def test_a_decision_about_a_provider_holds_for_its_address(
    server: ReplayServer, running: Meter
) -> None:
    running.block(provider="groq")
    instrument("openai")
    http = httpx.Client(proxy=server.url)
    client = OpenAI(api_key="test", base_url="http://api.groq.com/openai/v1", http_client=http)
    with pytest.raises(meter.CallBlocked):
        ask(client)
    assert server.requests == []


def test_embeddings_are_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording("openai/embeddings__plain__text-embedding-ada-002__34f12")
    server.on("/embeddings", recorded.answer())
    instrument("openai")
    client_of(server).embeddings.create(model="text-embedding-ada-002", input=PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_completions_are_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording("openai/completions__plain__davinci-002__6b425")
    server.on("/completions", recorded.answer())
    instrument("openai")
    client_of(server).completions.create(model="davinci-002", prompt=PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


# The bodies below were never recorded: they are those of the API's reference.
def _json(**body: object) -> Answer:
    return Answer(body=json.dumps(body).encode())


def test_images_are_metered_by_their_tokens(server: ReplayServer, running: Meter) -> None:
    usage = {
        "input_tokens": 50,
        "output_tokens": 1056,
        "total_tokens": 1106,
        "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
    }
    server.on("/images/generations", _json(created=1, data=[{"b64_json": "aGk="}], usage=usage))
    instrument("openai")
    client_of(server).images.generate(model="gpt-image-1", prompt=PROMPT)
    (event,) = running.events()
    assert (event.model, event.input_tokens, event.output_tokens) == ("gpt-image-1", 50, 1056)
    assert not event.usage_missing


def test_transcriptions_are_metered_by_seconds(server: ReplayServer, running: Meter) -> None:
    usage = {"type": "duration", "seconds": 9}
    server.on("/audio/transcriptions", _json(text="hello", usage=usage))
    instrument("openai")
    client_of(server).audio.transcriptions.create(
        model="whisper-1", file=("a.wav", b"sound"), prompt=PROMPT
    )
    (event,) = running.events()
    assert (event.model, event.seconds) == ("whisper-1", 9.0)


def test_a_transcription_that_is_plain_text_does_not_say_its_usage(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/audio/transcriptions", Answer(content_type="text/plain", body=b"hello"))
    instrument("openai")
    text = client_of(server).audio.transcriptions.create(
        model="whisper-1", file=("a.wav", b"sound"), prompt=PROMPT, response_format="text"
    )
    assert text == "hello"
    (event,) = running.events()
    assert (event.model, event.usage_missing, event.status) == ("whisper-1", True, "ok")


def test_speech_says_nothing_of_its_usage(server: ReplayServer, running: Meter) -> None:
    server.on("/audio/speech", Answer(content_type="audio/mpeg", body=b"\x00sound"))
    instrument("openai")
    speech = client_of(server).audio.speech
    spoken = speech.create(model="tts-1", voice="alloy", input=PROMPT)
    assert spoken.content == b"\x00sound"
    create = speech.with_streaming_response.create
    with create(model="tts-1", voice="alloy", input=PROMPT) as response:
        assert b"".join(response.iter_bytes()) == b"\x00sound"
    told = [(event.model, event.usage_missing, event.status) for event in running.events()]
    assert told == [("tts-1", True, "ok")] * 2


def test_a_finished_batch_is_counted_once(server: ReplayServer, running: Meter) -> None:
    batch = {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file_1",
        "completion_window": "24h",
        "created_at": 1,
        "model": "gpt-4o-2024-08-06",
    }
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 200,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1200,
    }
    server.on(
        "/batches/batch_1",
        _json(**batch, status="in_progress"),
        _json(**batch, status="completed", usage=usage),
    )
    instrument("openai")
    client = client_of(server)
    for _ in range(4):
        client.batches.retrieve("batch_1")
    (event,) = running.events()
    assert (event.id, event.source, event.service_tier) == ("batch_1", "openai", "batch")
    assert (event.model, event.input_tokens, event.output_tokens) == (
        "gpt-4o-2024-08-06",
        1000,
        200,
    )


def test_what_costs_nothing_is_not_metered(server: ReplayServer, running: Meter) -> None:
    server.on("/models", _json(object="list", data=[]))
    server.on("/moderations", _json(id="m", model="omni", results=[]))
    instrument("openai")
    client = client_of(server)
    client.models.list()
    client.moderations.create(input=PROMPT)
    assert running.events() == []


def test_the_sdks_version_is_the_one_that_was_asked_for() -> None:
    attached = {each.name: each.version for each in instrument("openai")}
    assert attached["openai"] == openai.__version__
