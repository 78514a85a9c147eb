"""1,577 recorded usage objects, against what genai-prices extracts from each."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from recorded_responses import DATA
from tollway.producers.responses import usage_of

ORACLE = DATA / "usage_objects_genai_prices.json.gz"

Counted = tuple[int, int, int, int]


def objects(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        pytest.skip(f"no recorded usage: {path} is absent; set TOLLWAY_DATA to its directory")
    found: list[dict[str, Any]] = msgspec.json.decode(gzip.decompress(path.read_bytes()))
    return found


def extracted(told: dict[str, int]) -> Counted:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    given, made, read, written = (told.get(name, 0) for name in names)
    return given, made, read, written


def reason(usage: dict[str, Any]) -> str:
    """Why we count more than genai-prices."""
    kinds = {part["type"] for part in usage.get("iterations") or ()}
    for kind in ("compaction", "advisor_message"):
        if kind in kinds:
            return f"{kind} is in no total"
    return "num_cached_tokens" if usage.get("num_cached_tokens") else ""


def test_we_extract_what_genai_prices_does_but_for_what_it_does_not_know() -> None:
    differ: Counter[str] = Counter()
    equal = 0
    for recorded in objects(ORACLE):
        body = {name: value for name, value in recorded["body"].items() if name != "file"}
        read = usage_of(body)
        ours = (
            read.input_tokens,
            read.output_tokens,
            read.cache_read_tokens,
            read.cache_write_tokens,
        )
        if ours in [extracted(told["usage"]) for told in recorded["extracted"]]:
            equal += 1
        else:
            differ[reason(body.get("usage") or {})] += 1
    assert equal == 1_543
    assert differ == {
        "compaction is in no total": 2,
        "advisor_message is in no total": 3,
        "num_cached_tokens": 29,
    }
