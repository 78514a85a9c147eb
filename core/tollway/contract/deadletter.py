"""A dead letter: a record that could not be read, why, and where it stands."""

from base64 import b64encode
from collections.abc import Mapping
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
    "lost",
]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`key` and `value` are base64, cut at 64 KiB; `size_bytes` is the value's own size.

    `headers` are there where they were part of what could not be read, as a CloudEvent's are: by
    name, each value like `key`, as many as fit into 64 KiB.
    """

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    time: str
    key: str | None = None
    value: str | None = None
    size_bytes: int
    headers: dict[str, str | None] | None = None


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
    headers: Mapping[str, bytes | None] | None = None,
) -> DeadLetter:
    return DeadLetter(
        reason=reason,
        detail=detail[:1000],
        topic=topic,
        partition=partition,
        offset=offset,
        time=time,
        key=_kept(key),
        value=_kept(value),
        size_bytes=len(value or b""),
        headers=None if headers is None else _fitting(headers),
    )


def _kept(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw[:MAX_DEAD_BYTES]).decode()


def _fitting(headers: Mapping[str, bytes | None]) -> dict[str, str | None]:
    kept: dict[str, str | None] = {}
    room = MAX_DEAD_BYTES
    for name, raw in headers.items():
        room -= len(name.encode()) + len(raw or b"")
        if room < 0:
            break
        kept[name] = _kept(raw)
    return kept
