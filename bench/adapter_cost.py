"""What an instrumented call adds to the SDK's own, with and without in turn, against a fake wire.

``.frameworks/bin/python bench/adapter_cost.py`` prints JSON lines: it runs where the SDKs are. The
answer is there at once, so that all of a call's time is the SDK's and ours.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAI

from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.testing import Meter, metered

ROUNDS = 20
CALLS = 50
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


def _round_us(call: Callable[[], object]) -> float:
    # Of this thread's own time: nothing here waits, and others may use the machine.
    began_s = time.thread_time()
    for _ in range(CALLS):
        call()
    return (time.thread_time() - began_s) / CALLS * 1e6


def measure(name: str, running: Meter, call: Callable[[], object]) -> None:
    """Rounds in turn, so that the machine's mood is in both; medians, and the best rounds."""
    bare: list[float] = []
    metered_us: list[float] = []
    for _ in range(ROUNDS):
        bare.append(_round_us(call))
        instrument("openai")
        metered_us.append(_round_us(call))
        uninstrument("openai")
        assert len(running.outbox.records) == CALLS, "every call is an event"
        running.outbox.records.clear()
    added = [after - before for before, after in zip(bare, metered_us, strict=True)]
    say(f"openai_{name}_bare", min(bare), "us")
    say(f"openai_{name}_added", min(metered_us) - min(bare), "us")
    say(f"openai_{name}_added_median", statistics.median(added), "us")


def _looped(call: Callable[[], Awaitable[object]]) -> Callable[[], object]:
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(call())


def main() -> None:
    transport = httpx.MockTransport(_answer)
    client = OpenAI(
        api_key="bench",
        base_url="https://api.openai.com/v1",
        http_client=httpx.Client(transport=transport),
    )
    client_async = AsyncOpenAI(
        api_key="bench",
        base_url="https://api.openai.com/v1",
        http_client=httpx.AsyncClient(transport=transport),
    )
    chat = client.chat.completions
    with metered(workspace="bench", agent="bot") as running:
        measure("chat", running, lambda: chat.create(model="gpt-4o", messages=MESSAGES))
        asked = client_async.chat.completions
        measure(
            "chat_async",
            running,
            _looped(lambda: asked.create(model="gpt-4o", messages=MESSAGES)),
        )
        measure(
            f"stream_of_{CHUNKS}",
            running,
            lambda: list(chat.create(model="gpt-4o", messages=MESSAGES, stream=True)),
        )
    say("openai_call_target", TARGET_US, "us")


if __name__ == "__main__":
    main()
