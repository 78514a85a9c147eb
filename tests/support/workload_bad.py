"""Records that are no usage events, each with the reason of the dead letter it must become."""

import json
import random
from collections.abc import Iterator

__all__ = ["bad_values"]

_GOOD = {
    "v": 1,
    "id": "bad",
    "time": "2026-01-31T12:00:00.000Z",
    "workspace": "team-01",
    "agent": "bot",
    "model": "gpt-4o",
}


def _with(**fields: object) -> bytes:
    return json.dumps({**_GOOD, **fields}).encode()


def _without(name: str) -> bytes:
    return json.dumps({key: value for key, value in _GOOD.items() if key != name}).encode()


_KINDS: tuple[tuple[bytes | None, str], ...] = (
    (None, "empty"),
    (b"", "empty"),
    (b"{", "broken_json"),
    (b"\xff\xfe not text", "broken_json"),
    (b'{"input_tokens": NaN}', "broken_json"),
    (b"[1, 2]", "wrong_type"),
    (_with(input_tokens="12"), "wrong_type"),
    (_with(output_tokens=True), "wrong_type"),
    (_with(input_tokens=-1), "out_of_range"),
    (_with(input_tokens=2**63), "out_of_range"),
    (_with(seq=2**49), "out_of_range"),
    (_with(kind="sorcery"), "out_of_range"),
    (_with(v=2), "unknown_version"),
    (_without("workspace"), "missing_field"),
    (_without("id"), "missing_field"),
    (_with(time="yesterday"), "malformed_time"),
    (_with(time="2026-01-31T12:00:00"), "malformed_time"),
    (_with(cost="1e-3"), "malformed_cost"),
    (_with(cost="-0.5"), "malformed_cost"),
    (_with(tags={"pad": "x" * 300_000}), "too_large"),
)


def bad_values(rng: random.Random) -> Iterator[tuple[bytes | None, str]]:
    """Every kind in turn, in an order of the seed's, for ever."""
    while True:
        yield from rng.sample(_KINDS, len(_KINDS))
