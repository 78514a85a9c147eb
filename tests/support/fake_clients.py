"""Fakes of OpenAI's client: its door, its answers and its streams, and what came through."""

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

__all__ = [
    "Chunk",
    "FakeAsyncCompletions",
    "FakeAsyncStream",
    "FakeCompletions",
    "FakeStream",
    "client_of",
    "said",
    "usage_chunk",
]

Chunk = SimpleNamespace
USAGE = SimpleNamespace(prompt_tokens=500, completion_tokens=200)


def said(text: str, response_id: str = "chatcmpl-1") -> Chunk:
    choice = SimpleNamespace(index=0, delta=SimpleNamespace(content=text), finish_reason=None)
    return Chunk(
        id=response_id,
        object="chat.completion.chunk",
        model="gpt-4o",
        choices=[choice],
        usage=None,
    )


def usage_chunk(response_id: str = "chatcmpl-1") -> Chunk:
    return Chunk(
        id=response_id,
        object="chat.completion.chunk",
        model="gpt-4o",
        choices=[],
        usage=USAGE,
    )


class FakeStream:
    """As OpenAI's: an iterator that is closed."""

    response = "the http response"

    def __init__(self, chunks: list[Chunk]) -> None:
        self._chunks = iter(chunks)
        self.closed = False

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def close(self) -> None:
        self.closed = True


class FakeAsyncStream:
    def __init__(self, chunks: list[Chunk]) -> None:
        self._chunks = iter(chunks)
        self.closed = False

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        try:
            return next(self._chunks)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        self.closed = True


def chunks_for(asked: dict[str, Any]) -> list[Chunk]:
    """The response's id is the host's `user`, so that a test can tell two apart."""
    response_id = asked.get("user", "chatcmpl-1")
    chunks = [said("a", response_id), said("b", response_id)]
    if asked.get("stream_options", {}).get("include_usage"):
        chunks.append(usage_chunk(response_id))
    return chunks


class FakeCompletions:
    """OpenAI's door, with what came through it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.stream: FakeStream | None = None

    def create(self, **asked: Any) -> Any:  # noqa: ANN401 (as the client's own)
        self.asked.append(asked)
        if asked.get("stream"):
            self.stream = FakeStream(chunks_for(asked))
            return self.stream
        return SimpleNamespace(
            id=f"chatcmpl-{len(self.asked)}", object="chat.completion", model="gpt-4o", usage=USAGE
        )


class FakeAsyncCompletions:
    def __init__(self) -> None:
        self.stream: FakeAsyncStream | None = None

    async def create(self, **asked: Any) -> Any:  # noqa: ANN401 (as the client's own)
        self.stream = FakeAsyncStream(chunks_for(asked))
        return self.stream


def client_of(completions: object) -> Any:  # noqa: ANN401 (a client is whatever has the doors)
    return SimpleNamespace(chat=SimpleNamespace(completions=completions))
