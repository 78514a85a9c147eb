"""Texts cut into documents: one JSON body, lines or an array of them, and server-sent events."""

import re
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from tollway.producers.responses.eventstream import EventStream

__all__ = ["MAX_DOCUMENT_BYTES", "Documents", "Framing", "decode_json"]

# One document of a stream, or a whole body (images come inside of it).
MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024

_SPACE: Final = b" \t\r\n\xef\xbb\xbf"
_STRUCTURE: Final = re.compile(rb'["{}\[\]]')
_IN_TEXT: Final = re.compile(rb'["\\]')
_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
# Of one event's data; who prints them over more lines than this has lost them.
_MAX_DATA_LINES: Final = 100_000
# The ends of data that were printed over many lines.
_CLOSING_LINES: Final = (b"data: }", b"data:}", b"data: ]", b"data:]")
_SSE_FIELD: Final = re.compile(rb"(?:data|event|id|retry)?:")
_SSE_BEGINS: Final = re.compile(rb"(?:data|event|id|retry)?:|[a-z]{1,5}\Z")


class Framing(Protocol):
    """Blocks of bytes, cut anywhere, to documents."""

    def feed(self, block: bytes) -> Iterator[object]:
        """The documents that this block completes."""

    def rest(self) -> Iterator[object]:
        """A last document whose end is not marked."""


def decode_json(text: bytes) -> object:
    """The value; None where it is none, or not whole."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Documents:
    """Finds out how the bytes are framed, and frames them so."""

    def __init__(self) -> None:
        self._start = b""
        self._framing: Framing | None = None

    def feed(self, block: bytes) -> Iterator[object]:
        """The documents that this block completes."""
        if self._framing is None:
            block = (self._start + block).lstrip(_SPACE)
            self._framing = _framing_of(block)
            if self._framing is None:
                self._start = block
                return iter(())
        return self._framing.feed(block)

    def rest(self) -> Iterator[object]:
        """A last document whose end is not marked."""
        return iter(()) if self._framing is None else self._framing.rest()


def _framing_of(block: bytes) -> Framing | None:
    """None: not enough has come to tell."""
    if not block:
        return None
    if block[:1] in (b"{", b"["):
        return _JsonText()
    if EventStream.begins(block):
        return EventStream()
    if _SSE_BEGINS.match(block):
        return _ServerSentEvents()
    return _Unreadable() if len(block) >= EventStream.PRELUDE_BYTES else None


class _Unreadable:
    """Neither JSON nor events: nothing will come of it."""

    def feed(self, block: bytes) -> Iterator[object]:
        return iter(())

    def rest(self) -> Iterator[object]:
        return iter(())


class _JsonText:
    """One object, objects one after the other, or an array of objects that comes bit by bit."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked_at = 0
        self._depth = 0
        self._in_text = False
        # Where the document begins that is being read, and how deep it lies.
        self._begin = -1
        self._floor = 0

    def feed(self, block: bytes) -> Iterator[object]:
        self._buffer += block
        for end in self._ends():
            document = decode_json(bytes(self._buffer[self._begin : end]))
            self._begin = -1
            if document is not None:
                yield document
        keep = self._begin if self._begin >= 0 else self._looked_at
        del self._buffer[:keep]
        self._looked_at -= keep
        self._begin = -1 if self._begin < 0 else 0
        if len(self._buffer) > MAX_DOCUMENT_BYTES:
            self._buffer.clear()
            self._looked_at, self._begin = 0, -1

    def _ends(self) -> Iterator[int]:
        """The ends of the documents; between two the caller takes one out."""
        position, size = self._looked_at, len(self._buffer)
        while position < size:
            pattern = _IN_TEXT if self._in_text else _STRUCTURE
            found = pattern.search(self._buffer, position)
            if found is None:
                break
            at, position = found.start(), found.end()
            mark = self._buffer[at]
            if self._in_text:
                if mark == 0x5C:
                    if position == size:
                        # What is escaped has not come yet.
                        self._looked_at = at
                        return
                    position += 1
                elif mark == 0x22:
                    self._in_text = False
            elif mark == 0x22:
                self._in_text = True
            elif mark in b"{[":
                self._open(at, mark)
            elif mark in b"}]" and self._close(mark):
                self._looked_at = position
                yield position
        self._looked_at = size

    def _open(self, at: int, mark: int) -> None:
        if self._begin < 0 and mark == 0x7B:
            self._begin, self._floor = at, self._depth
        self._depth += 1

    def _close(self, mark: int) -> bool:
        self._depth = max(self._depth - 1, 0)
        return self._begin >= 0 and self._depth == self._floor and mark == 0x7D

    def rest(self) -> Iterator[object]:
        return iter(())


class _ServerSentEvents:
    """Events whose data are JSON. What else they say (names, ids, `[DONE]`) tells of no usage."""

    def __init__(self) -> None:
        # The beginning of a line, in pieces: joined once, however many blocks it takes.
        self._pieces: list[bytes] = []
        self._piece_bytes = 0
        # Of a line's end that may be two bytes, the first.
        self._held = b""
        self._data: list[bytes] = []

    def feed(self, block: bytes) -> Iterator[object]:
        if self._begins_line(block):
            # Lines as an iterator of lines gives them: without their ends.
            block = b"\n" + block
        text = self._held + block
        start = 0
        for end in _LINE_END.finditer(text):
            self._keep(text[start : end.start()])
            yield from self._take(self._line())
            self._pieces, self._piece_bytes = [], 0
            start = end.end()
        self._held = b"\r" if text.endswith(b"\r") else b""
        self._keep(text[start : len(text) - len(self._held)])

    def _keep(self, piece: bytes) -> None:
        self._piece_bytes += len(piece)
        if self._piece_bytes > MAX_DOCUMENT_BYTES:
            self._pieces = []
        elif piece:
            self._pieces.append(piece)

    def _line(self) -> bytes:
        return b"".join(self._pieces)

    def _begins_line(self, block: bytes) -> bool:
        """Whether what came before was a whole line, though no end of it was seen."""
        if block and (not self._pieces or self._held or not _SSE_FIELD.match(block)):
            return False
        if self._pieces and self._pieces[0].startswith((b"event:", b":")):
            return True
        line = self._line()
        if not line.startswith(b"data:"):
            return not line
        return line.endswith((b"}", b"]")) and decode_json(line[5:]) is not None

    def _take(self, line: bytes) -> Iterator[object]:
        if line.startswith(b"data:"):
            if len(self._data) >= _MAX_DATA_LINES:
                self._data = []
            first = not self._data
            self._data.append(line[5:])
            # Not only at the blank line, which an iterator of lines may have swallowed.
            if first or line in _CLOSING_LINES:
                yield from self._whole()
        elif not line.strip():
            yield from self._whole()
            self._data = []
        elif line[:1] in (b"{", b"["):
            # Lines of JSON between the events: a gateway's error, or a recording without framing.
            self._data = [line]
            yield from self._whole()

    def _whole(self) -> Iterator[object]:
        document = decode_json(b"\n".join(self._data)) if self._data else None
        if document is not None:
            self._data = []
            yield document

    def rest(self) -> Iterator[object]:
        """An event without its blank line counts if its data are whole."""
        line = self._line()
        if line.startswith(b"data:") and line.endswith((b"}", b"]")):
            document = decode_json(b"\n".join([*self._data, line[5:]]))
            if document is not None:
                self._pieces, self._piece_bytes, self._data = [], 0, []
                yield document
