"""Recorded bodies of providers, what the manifest expects of each, and their streams in events."""

import base64
import json
import os
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from tollway.producers.responses import ResponseUsage

__all__ = [
    "DATA",
    "Counts",
    "Recorded",
    "blocks_of",
    "counts_of",
    "events_of",
    "eventstream_message",
    "recorded_responses",
    "why_no_responses",
]

_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DATA = Path(os.environ.get("TOLLWAY_DATA") or _BESIDE)
_RESPONSES = DATA / "provider_responses"

Counts = tuple[int, int, int, int, int]


class Recorded(msgspec.Struct, frozen=True):
    """A line of the manifest."""

    file: str
    provider: str
    api: str
    status: int
    content_type: str
    features: tuple[str, ...]
    model: str | None
    expected_usage: dict[str, int | None]

    @property
    def expected(self) -> Counts:
        """Input, output, read from caches, written to them, reasoning; what is untold is 0."""
        told = self.expected_usage
        return (
            told["input"] or 0,
            told["output"] or 0,
            told["cached"] or 0,
            told["cache_write"] or 0,
            told["reasoning"] or 0,
        )

    @property
    def is_told(self) -> bool:
        return self.expected_usage["input"] is not None

    @property
    def is_stream(self) -> bool:
        return not self.file.endswith(".json")

    def body(self) -> bytes:
        return (_RESPONSES / self.file).read_bytes()


def why_no_responses() -> str | None:
    """What is missing; None if the recorded responses are there."""
    if (_RESPONSES / "manifest.jsonl").exists():
        return None
    return f"no recorded responses in {_RESPONSES}; set TOLLWAY_DATA to the data's directory"


@cache
def recorded_responses() -> list[Recorded]:
    """All of the manifest; none where it is absent."""
    if why_no_responses() is not None:
        return []
    lines = (_RESPONSES / "manifest.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Recorded) for line in lines]


def counts_of(usage: ResponseUsage) -> Counts:
    """What the manifest has an expectation of."""
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )


def blocks_of(body: bytes) -> list[bytes]:
    """A recorded stream cut at each boundary of events; joined, the blocks are the body."""
    if body[:1] == b"\0":
        return list(_messages(body))
    if body[:1] == b"[":
        return [body]
    separator = b"\n" if body[:1] == b"{" else b"\n\n"
    blocks = [block + separator for block in body.split(separator)]
    blocks[-1] = blocks[-1].removesuffix(separator)
    return [block for block in blocks if block]


def events_of(body: bytes) -> list[Any]:
    """The events of a recorded stream as a client has them: dictionaries."""
    if body[:1] == b"[":
        return list(json.loads(body))
    if body[:1] == b"\0":
        return [_inside(block) for block in blocks_of(body)]
    events = []
    for line in body.splitlines():
        text = line.removeprefix(b"data:").strip()
        if text[:1] == b"{":
            try:
                events.append(json.loads(text))
            except ValueError:
                # One fixture was cut by hand: a brace is lacking.
                continue
    return events


def _messages(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4])
        yield body[at : at + size]
        at += size


def _inside(message: bytes) -> object:
    """An event of a streamed invoke, by the shape that it has on the wire."""
    payload = message[12 + int.from_bytes(message[4:8]) : -4]
    return json.loads(base64.b64decode(json.loads(payload)["bytes"]))


def eventstream_message(payload: bytes, **headers: str) -> bytes:
    """A message as AWS frames it; `event_type` is the header `:event-type`."""
    block = b""
    for name, value in headers.items():
        key, text = f":{name.replace('_', '-')}".encode(), value.encode()
        block += bytes([len(key)]) + key + b"\x07" + len(text).to_bytes(2) + text
    size = 12 + len(block) + len(payload) + 4
    prelude = size.to_bytes(4) + len(block).to_bytes(4)
    message = prelude + zlib.crc32(prelude).to_bytes(4) + block + payload
    return message + zlib.crc32(message).to_bytes(4)
