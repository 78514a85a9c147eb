"""What an instrumented call adds to the SDK's own, with and without in turn, against a fake wire.

``.frameworks/bin/python bench/adapter_cost.py`` prints JSON lines: it runs where the SDKs are. The
answer is there at once, so that all of a call's time is the SDK's and ours.
"""

import asyncio
import functools
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAI

from tollway.producers.adapters.openai import wrap
from tollway.producers.testing import Meter, metered

CALLS = 1000
TARGET_US = 50.0

MESSAGES: Any = [
    {"role": "system", "content": "You are a careful assistant. " * 20},
    {"role": "user", "content": "What does it cost? " * 20},
]
# The shape of a chat completion, by the API's reference; the id is of one call only.
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Nothing. " * 50},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 1843,
        "completion_tokens": 412,
        "total_tokens": 2255,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
}
BODY = json.dumps(COMPLETION).encode()
CHUNKS = 20


def _stream() -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        "usage": None,
    }
    last = {**chunk, "choices": [], "usage": COMPLETION["usage"]}
    lines = [json.dumps(each) for each in (*[chunk] * CHUNKS, last)]
    return "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()


STREAM = _stream()


def _answer(request: httpx.Request) -> httpx.Response:
    if b'"stream":true' in request.content:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=STREAM)
    return httpx.Response(200, headers={"content-type": "application/json"}, content=BODY)


def say(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


def _call_us(call: Callable[[], object]) -> float:
    # Of this thread's own time: nothing here waits, and others may use the machine.
    began_s = time.thread_time()
    call()
    return (time.thread_time() - began_s) * 1e6


def measure(
    name: str, running: Meter, bare: Callable[[], object], metered_call: Callable[[], object]
) -> None:
    """Call by call in turn, so that the machine's moods are in both. Of each the twentieth that
    was fastest: the others had the machine's noise in them."""
    bare_us: list[float] = []
    metered_us: list[float] = []
    behind_s = time.thread_time() - time.process_time()
    for _ in range(CALLS):
        bare_us.append(_call_us(bare))
        metered_us.append(_call_us(metered_call))
    running.settle()
    behind_s += time.process_time() - time.thread_time()
    assert len(running.outbox.records) == CALLS, "every call is an event"
    running.outbox.records.clear()
    fast, fast_metered = (statistics.quantiles(each, n=20)[0] for each in (bare_us, metered_us))
    say(f"openai_{name}_bare", fast, "us")
    say(f"openai_{name}_added", fast_metered - fast, "us")
    # What a thread of ours does after the call, which its host does not wait for.
    say(f"openai_{name}_behind", behind_s / CALLS * 1e6, "us")


def _looped(call: Callable[[], Awaitable[object]]) -> Callable[[], object]:
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(call())


def _client(kind: Any) -> Any:  # noqa: ANN401 (the SDK's, sync or async)
    transport = httpx.MockTransport(_answer)
    http = httpx.AsyncClient if kind is AsyncOpenAI else httpx.Client
    return kind(
        api_key="bench",
        base_url="https://api.openai.com/v1",
        http_client=http(transport=transport),
    )


def main() -> None:
    with metered(workspace="bench", agent="bot") as running:
        calls: list[Callable[[], object]] = []
        streams: list[Callable[[], object]] = []
        for chat in (_client(OpenAI).chat, wrap(_client(OpenAI)).chat):
            ask = functools.partial(chat.completions.create, model="gpt-4o", messages=MESSAGES)
            calls.append(ask)
            streams.append(functools.partial(_read, ask))
        awaited = [
            _looped(functools.partial(chat.completions.create, model="gpt-4o", messages=MESSAGES))
            for chat in (_client(AsyncOpenAI).chat, wrap(_client(AsyncOpenAI)).chat)
        ]
        measure("chat", running, *calls)
        measure("chat_async", running, *awaited)
        measure(f"stream_of_{CHUNKS}", running, *streams)
    say("openai_call_target", TARGET_US, "us")


def _read(ask: Callable[..., Any]) -> object:
    return list(ask(stream=True))


if __name__ == "__main__":
    main()
