"""Recorded responses of providers, made ready to be answered again by a local server.

The recordings stay where `TOLLWAY_DATA` says; a test that wants one skips loudly without it.
"""

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from answering import Answer

__all__ = ["NO_RECORDINGS", "Expected", "Recording", "recording"]

NO_RECORDINGS: Final = "NO RECORDED RESPONSES"

ROOT: Final = Path(__file__).resolve().parents[3]
DATA: Final = Path(os.environ.get("TOLLWAY_DATA") or ROOT.parent / "shared" / "data")
_FOLDER: Final = DATA / "provider_responses"

# On which paths the SDKs ask for what was recorded of an api.
PATHS: Final = {
    "chat_completions": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "messages": "/messages",
    "generate_content": ":generateContent",
    "stream_generate_content": ":streamGenerateContent",
    "converse": "/converse",
    "invoke": "/invoke",
    "invoke_stream": "/invoke-with-response-stream",
}
# A document of a recording: whatever JSON the provider sent.
Document = dict[str, Any]


class Expected(msgspec.Struct, frozen=True):
    """What the recording's manifest says was used; inclusive, None where the body does not say."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded body. `events`: of a stream, each with its framing, as it goes on the wire."""

    name: str
    api: str
    status: int
    content_type: str
    # As the response names it; None where it does not.
    model: str | None
    expected: Expected
    body: bytes
    events: tuple[bytes, ...] = ()

    @property
    def path(self) -> str:
        """Part of the path on which an SDK asks for this; fixtures do not say it themselves."""
        return PATHS[self.api]

    def answer(
        self,
        *,
        hold_after: int | None = None,
        break_after: int | None = None,
        pause_s: float = 0.0,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """The recording as an answer of the server, which says what the rest does."""
        return Answer(
            status=self.status,
            content_type=self.content_type,
            body=self.body,
            events=self.events,
            hold_after=hold_after,
            break_after=break_after,
            pause_s=pause_s,
            headers=headers or {},
        )

    def edited(self, edit: Callable[[Document], object]) -> "Recording":
        """The same with each of its JSON documents edited in place: for shapes nobody recorded.

        A test that uses it says so: ids, models, one more tool call.
        """
        return msgspec.structs.replace(
            self,
            body=b"" if self.events else _edited(self.body, edit),
            events=tuple(_edited_event(event, edit) for event in self.events),
        )

    def with_id(self, number: int | str) -> "Recording":
        """The same response of another call: two calls with one id are one call."""
        return self.edited(lambda document: _renamed(document, str(number)))


def recording(name: str) -> Recording:
    """By its file in the manifest, or by a part of the file's name that no other has."""
    if not _FOLDER.is_dir():
        pytest.skip(f"{NO_RECORDINGS} in {_FOLDER}: set TOLLWAY_DATA to their directory")
    found = [line for file, line in _manifest().items() if name == file or name in file]
    assert len(found) == 1, f"{name!r} names {len(found)} recordings; name one"
    return _read(found[0]["file"])


@functools.cache
def _manifest() -> dict[str, Document]:
    lines = (_FOLDER / "manifest.jsonl").read_text().splitlines()
    return {entry["file"]: entry for entry in map(json.loads, lines)}


@functools.cache
def _read(file: str) -> Recording:
    entry = _manifest()[file]
    body = (_FOLDER / file).read_bytes()
    events = _events(file, entry["content_type"], body)
    is_sse = bool(events) and file.endswith((".sse.txt", ".chunks.txt"))
    return Recording(
        name=file,
        api=entry["api"],
        status=entry["status"],
        content_type="text/event-stream" if is_sse else entry["content_type"] or "application/json",
        model=entry["model"],
        expected=msgspec.convert(entry["expected_usage"], Expected),
        body=b"" if events else body,
        events=events,
    )


def _events(file: str, content_type: str, body: bytes) -> tuple[bytes, ...]:
    if file.endswith(".sse.txt"):
        parts = body.replace(b"\r\n", b"\n").split(b"\n\n")
        return tuple(part.strip(b"\n") + b"\n\n" for part in parts if part.strip())
    if file.endswith(".chunks.txt"):
        return _framed([line for line in body.splitlines() if line.strip()])
    if file.endswith(".eventstream.bin"):
        return _messages(body)
    if file.endswith(".ndjson.txt") and content_type == "application/x-ndjson":
        return tuple(line + b"\n" for line in body.splitlines() if line.strip())
    return ()


def _framed(lines: list[bytes]) -> tuple[bytes, ...]:
    """The framing that was stripped: Anthropic and OpenAI's responses name each event, chat
    completions end with a word of their own."""
    events = []
    for line in lines:
        document = json.loads(line)
        kind = document.get("type") if isinstance(document, dict) else None
        named = f"event: {kind}\n".encode() if isinstance(kind, str) else b""
        events.append(named + b"data: " + line + b"\n\n")
    if any(b'"choices"' in line for line in lines):
        events.append(b"data: [DONE]\n\n")
    return tuple(events)


def _messages(body: bytes) -> tuple[bytes, ...]:
    """AWS's eventstream: each message begins with its length."""
    messages = []
    while body:
        length = int.from_bytes(body[:4], "big")
        messages.append(body[:length])
        body = body[length:]
    return tuple(messages)


def _edited(body: bytes, edit: Callable[[Document], object]) -> bytes:
    document = json.loads(body)
    for each in document if isinstance(document, list) else [document]:
        edit(each)
    return json.dumps(document).encode()


def _edited_event(event: bytes, edit: Callable[[Document], object]) -> bytes:
    lines = []
    for line in event.split(b"\n"):
        data = line.removeprefix(b"data:").strip()
        if line.startswith(b"data:") and data.startswith((b"{", b"[{")):
            line = b"data: " + _edited(data, edit)
        lines.append(line)
    return b"\n".join(lines)


# Where the providers put the id of a response: Gemini, Anthropic's message_start and OpenAI's
# response events, everybody else.
def _renamed(document: Document, number: str) -> None:
    for inner in (document, document.get("message"), document.get("response")):
        if not isinstance(inner, dict):
            continue
        for name in ("id", "responseId"):
            if isinstance(inner.get(name), str):
                inner[name] = f"{inner[name]}-{number}"
