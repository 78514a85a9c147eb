"""Hashes of prompts, arguments and results: equal where the texts are, and telling nothing of them.

The text itself stays here. What leaves is keyed: without the key nobody can try short texts out.
"""

import os
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec

__all__ = ["Hashes", "plain_text"]

# Of 64 bits: a run compares a handful.
_BYTES: Final = 8
# A longer text is told by its beginning, its end and its length: hashing must not slow a call.
MAX_HASHED: Final = 256 * 1024
# How many characters a token has, roughly, in all of today's tokenizers for English text.
CHARACTERS_PER_TOKEN: Final = 4

# What differs between two results that say the same: ids, counts, times.
_IDS: Final = re.compile(r"\b(?:0x)?[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b")
_DIGITS: Final = re.compile(r"\d+(?:[.,:]\d+)*")


class Hashes:
    """Hashes under one key: a workspace's own, so that its processes agree, else this process's."""

    def __init__(self, key: str | None) -> None:
        self._key = blake2b((key or os.urandom(32).hex()).encode(), digest_size=32).digest()

    def of(self, value: object) -> str:
        """The hash of a prompt or of arguments: of their JSON, whatever the order of keys."""
        return self._digest(_canonical(value))

    def of_result(self, value: object) -> str:
        """Of a tool's result with ids, digits and countdowns masked: raw ones hide loops."""
        text = plain_text(value)[:MAX_HASHED]
        return self._digest(_DIGITS.sub("#", _IDS.sub("#", text)).encode("utf-8", "replace"))

    def result_fields(self, result: object) -> dict[str, object]:
        """What an event says of a tool's result: its hash and about how many tokens it has."""
        text = plain_text(result)
        return {
            "result_hash": self.of_result(text),
            "result_tokens": len(text) // CHARACTERS_PER_TOKEN,
        }

    def _digest(self, data: bytes) -> str:
        if len(data) > MAX_HASHED:
            half = MAX_HASHED // 2
            data = data[:half] + len(data).to_bytes(8, "big") + data[-half:]
        return blake2b(data, digest_size=_BYTES, key=self._key).hexdigest()


def plain_text(value: object) -> str:
    """A result as text: itself where it is one, else its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return _canonical(value).decode()


def _canonical(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, bytes):
        return value
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        # No JSON form: what it says of itself must do. An address in it makes it equal to no other.
        return repr(value).encode("utf-8", "replace")


def _plain(value: object) -> object:
    """What msgspec does not know: models of pydantic and the like say what they hold."""
    for name in ("model_dump", "to_dict", "dict"):
        dump: Callable[[], object] | None = getattr(value, name, None)
        if callable(dump):
            return dump()
    return repr(value)


_encode: Final = msgspec.json.Encoder(order="sorted", enc_hook=_plain).encode
