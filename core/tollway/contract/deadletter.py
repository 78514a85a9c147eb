"""A dead letter: a record that could not be read, why, and where it stands."""

from base64 import b64encode
from typing import Final, Literal

import msgspec

__all__ = ["MAX_DEAD_BYTES", "DeadLetter", "Reason", "dead_letter"]

MAX_DEAD_BYTES: Final = 64 * 1024

# Stable words: alerts and tests match on them.
Reason = Literal[
    "empty",
    "too_large",
    "broken_json",
    "wrong_type",
    "missing_field",
    "out_of_range",
    "unknown_version",
    "malformed_time",
    "malformed_cost",
    "unknown_command",
    "malformed_command",
    "refused_by_store",
]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`key` and `value` are base64, cut at 64 KiB; `size_bytes` is the value's own size."""

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    time: str
    key: str | None = None
    value: str | None = None
    size_bytes: int


def dead_letter(
    reason: Reason,
    detail: str,
    *,
    topic: str,
    partition: int,
    offset: int,
    time: str,
    key: bytes | None,
    value: bytes | None,
) -> DeadLetter:
    return DeadLetter(
        reason=reason,
        detail=detail[:1000],
        topic=topic,
        partition=partition,
        offset=offset,
        time=time,
        key=None if key is None else b64encode(key[:MAX_DEAD_BYTES]).decode(),
        value=None if value is None else b64encode(value[:MAX_DEAD_BYTES]).decode(),
        size_bytes=len(value or b""),
    )
