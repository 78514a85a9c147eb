"""The binary framing of AWS: messages with lengths, headers and checksums."""

import base64
import binascii
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

__all__ = ["EventStream"]

_PRELUDE: Final = struct.Struct(">III")
_CHECKSUM_BYTES: Final = 4
# AWS allows 16 MiB of payload and 128 KiB of headers.
_MAX_MESSAGE_BYTES: Final = 17 * 1024 * 1024
_TEXT_HEADER: Final = 7
# The bytes of a header's value, by the number of its type; 6 and 7 have lengths of their own.
_VALUE_BYTES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class EventStream:
    """Messages to documents, as boto3 gives them: each event under its kind."""

    PRELUDE_BYTES: Final = _PRELUDE.size

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken = False

    @staticmethod
    def begins(block: bytes) -> bool:
        """Whether the bytes are the beginning of a message; its prelude has a checksum."""
        return len(block) >= _PRELUDE.size and _message_bytes(block) > 0

    def feed(self, block: bytes) -> Iterator[object]:
        """The documents that this block completes."""
        if self._broken:
            return
        buffer = self._buffer
        buffer += block
        while len(buffer) >= _PRELUDE.size:
            size = _message_bytes(buffer)
            if not size:
                self._broken = True
                buffer.clear()
                break
            if len(buffer) < size:
                break
            document = _document(bytes(buffer[:size]))
            del buffer[:size]
            if document is not None:
                yield document

    def rest(self) -> Iterator[object]:
        """Nothing: every message says where it ends."""
        return iter(())


def _message_bytes(buffer: bytes | bytearray) -> int:
    """The length of the message that begins here; 0 where none does."""
    total, headers, checksum = _PRELUDE.unpack_from(buffer)
    least: int = _PRELUDE.size + headers + _CHECKSUM_BYTES
    if checksum != zlib.crc32(buffer[:8]) or not least <= total <= _MAX_MESSAGE_BYTES:
        return 0
    return int(total)


def _document(message: bytes) -> object:
    _, header_bytes, _ = _PRELUDE.unpack_from(message)
    end = _PRELUDE.size + header_bytes
    headers = _headers(message[_PRELUDE.size : end])
    try:
        payload: object = msgspec.json.decode(message[end:-_CHECKSUM_BYTES])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    failure = headers.get(":exception-type") or headers.get(":error-code")
    if failure:
        return {"error": payload}
    if "bytes" in payload:
        return _chunk(payload["bytes"])
    kind = headers.get(":event-type")
    return {kind: payload} if kind else payload


def _chunk(encoded: object) -> object:
    """A chunk of a streamed invoke: the model's own event, in base64."""
    if not isinstance(encoded, str):
        return None
    try:
        return msgspec.json.decode(base64.b64decode(encoded))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _headers(block: bytes) -> dict[str, str]:
    """The headers that are texts. A header that is cut ends them."""
    headers: dict[str, str] = {}
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        if name_end >= len(block):
            break
        kind, at_value = block[name_end], name_end + 1
        size = _VALUE_BYTES.get(kind)
        if size is None:
            size = int.from_bytes(block[at_value : at_value + 2])
            at_value += 2
        if kind == _TEXT_HEADER:
            name = block[at + 1 : name_end].decode("utf-8", "replace")
            headers[name] = block[at_value : at_value + size].decode("utf-8", "replace")
        at = at_value + size
    return headers
