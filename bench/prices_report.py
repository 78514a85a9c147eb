"""Compares our prices with those that genai-prices computed for 1,577 recorded usage objects.

Run ``python bench/prices_report.py [--data DIR]``; exits 1 when a difference has no reason.
"""

import argparse
import gzip
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices

from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Catalogue, Rates
from tollway.domain.usage import Usage

ORACLE = "usage_objects_genai_prices.json.gz"

# The oracle does not say for what time it priced. Every day tried from July 2025 to March 2026
# agrees best (3,461 of 3,474); before lie the cuts of 2025 that it has, after them those of 2026
# that it has not.
PRICED_AT = datetime(2025, 12, 1, tzinfo=UTC)
PRICED_AT_MS = int(PRICED_AT.timestamp()) * 1000

# Keys of the oracle's usage, and the counts of an event that they are. Text, video and tool tokens
# are inside input and output, and cost what those cost.
COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "cache_audio_read_tokens": "cache_read_audio_tokens",
    "input_image_tokens": "input_image_tokens",
    "output_image_tokens": "output_image_tokens",
    "web_searches": "searches",
}

EQUAL = "equal"
BOTH_UNPRICED = "no price in either"
LIST_CHANGED = "the list has changed since: the installed genai-prices says what we say"
NEWLY_LISTED = "listed since: the installed genai-prices says what we say"
DELISTED = "the installed list has the model without a price: unpriced, never $0"
NO_AUDIO_RATE = "the list has no price for audio of the model: unpriced, never as text"
LONGER_NAME = "a longer name at a shorter one's price: refused"
OWN_PREFIX = "named with the provider's own prefix (openai/gpt-5-mini): the same model"
DATED = "dated, or -latest: the model without that suffix"
UNEXPLAINED = "UNEXPLAINED"

# Prices of genai-prices that we refuse, each looked at by a person.
REFUSED = {
    # Matched by the beginning deepseek-r1: a distilled Llama is not R1.
    ("deepseek", "deepseek-r1-distill-llama-70b"): LONGER_NAME,
    # Matched because it contains gemini-2.0-flash-exp: OpenRouter's free variant, at Google.
    ("google", "google/gemini-2.0-flash-exp:free"): LONGER_NAME,
}

DATE_OR_LATEST = re.compile(r"-(?:latest|\d{4}-\d{2}-\d{2}|\d{8})$")

Case = tuple[str, str, str]


def data_directory(argument: str | None) -> Path:
    """Where the recorded data is: the argument, TOLLWAY_DATA, or ../shared/data."""
    named = argument or os.environ.get("TOLLWAY_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


def event_of(usage: dict[str, int]) -> UsageEvent:
    """A usage event with the oracle's counts."""
    counts = {COUNTS[key]: value for key, value in usage.items() if key in COUNTS}
    return UsageEvent(
        id="oracle", time="2025-12-01T00:00:00Z", workspace="w", agent="a", **_typed(counts)
    )


def _typed(counts: dict[str, int]) -> dict[str, Any]:  # Any: keyword arguments of several types
    return dict(counts)


def reference_pico(provider: str, model: str, usage: dict[str, int]) -> Decimal | None:
    """What the installed genai-prices says; None when it finds no such model."""
    known = {key: value for key, value in usage.items() if key in COUNTS}
    try:
        price = genai_prices.calc_price(
            genai_prices.Usage(**known),
            model,
            provider_id=provider,
            genai_request_timestamp=PRICED_AT,
        )
    except LookupError:
        return None
    return price.total_price * 10**12


def reason(ours: int | None, theirs: Decimal | None, usage: dict[str, int], case: Case) -> str:
    """Why our price of a case is not the oracle's, or that it is.

    Everything but equality is checked against the installed genai-prices, asked for the same name
    or for the plain name that we say it stands for.
    """
    provider, model, entry = case
    if ours is None and theirs is None:
        return BOTH_UNPRICED
    if ours is not None and ours == theirs:
        return EQUAL
    installed = reference_pico(provider, model, usage)
    if ours is None and entry:
        is_heard = usage.get("input_audio_tokens") or usage.get("output_audio_tokens")
        return NO_AUDIO_RATE if is_heard else UNEXPLAINED
    if ours is None:
        return DELISTED if installed == 0 else REFUSED.get((provider, model), UNEXPLAINED)
    if installed == ours:
        return NEWLY_LISTED if theirs is None else LIST_CHANGED
    if theirs is None:
        bare = model.rpartition("/")[2]
        if bare != model and reference_pico(provider, bare, usage) == ours:
            return OWN_PREFIX
        undated = DATE_OR_LATEST.sub("", model)
        if undated != model and reference_pico(provider, undated, usage) == ours:
            return DATED
    return UNEXPLAINED


def cases(data: Path) -> Iterator[tuple[str, str, dict[str, int], Decimal | None]]:
    """Provider, model, usage and the oracle's price of each extraction that names a model."""
    with gzip.open(data / ORACLE, "rt") as lines:
        bodies = json.load(lines)
    for body in bodies:
        for extraction in body["extracted"] if "model" in body else ():
            for extractor in extraction["extractors"]:
                price: Decimal | None = None
                if "total_price" in extractor:
                    price = Decimal(extractor["total_price"])
                elif "input_price" in extractor:
                    price = Decimal(extractor["input_price"]) + Decimal(extractor["output_price"])
                yield extractor["provider_id"], body["model"], extraction["usage"], price


def compare(catalogue: Catalogue, data: Path) -> Counter[tuple[str, Case]]:
    """How many cases there are of each reason, provider, model and listed entry."""
    found: Counter[tuple[str, Case]] = Counter()
    known: dict[tuple[str, str], Rates | None] = {}
    for provider, model, usage, price in cases(data):
        key = (provider, model)
        if key not in known:
            known[key] = catalogue.rates(provider, model, None, PRICED_AT_MS)
        rates = known[key]
        used = Usage(event_of(usage))
        ours = None if rates is None or not rates.covers(used) else rates.cost_pico(used)
        theirs = None if price is None else price * 10**12
        entry = "" if rates is None else rates.version.split(" ", 1)[1]
        case = (provider, model, entry)
        found[reason(ours, theirs, usage, case), case] += 1
    return found


def unpriced_in_traces(catalogue: Catalogue, data: Path) -> tuple[int, Counter[tuple[str, str]]]:
    """How many events of the traces have a price, and those of each model that has none."""
    priced = 0
    unpriced: Counter[tuple[str, str]] = Counter()
    known: dict[tuple[str | None, str], bool] = {}
    for trace in sorted((data / "traces").glob("*.jsonl.gz")):
        with gzip.open(trace, "rb") as lines:
            for line in lines:
                event = json.loads(line)
                model = event.get("model")
                if model is None or event.get("kind", "llm") != "llm":
                    continue
                key = (event.get("provider"), model)
                if key not in known:
                    known[key] = catalogue.rates(*key, None, PRICED_AT_MS) is not None
                if known[key]:
                    priced += 1
                else:
                    unpriced[key[0] or "?", model] += 1
    return priced, unpriced


def main() -> int:
    """Print both comparisons; the exit code says whether every difference has a reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="the recorded data (default: TOLLWAY_DATA)")
    data = data_directory(parser.parse_args().data)
    if not (data / ORACLE).exists():
        print(f"no {ORACLE} in {data}; name the data's directory with --data", file=sys.stderr)
        return 2
    catalogue = Catalogue.bundled()
    found = compare(catalogue, data)
    totals: Counter[str] = Counter()
    for (why, _), count in found.items():
        totals[why] += count
    print(f"prices of genai-prices {catalogue.version} at {PRICED_AT:%Y-%m-%d}")
    for why, count in totals.most_common():
        print(f"{count:7,}  {why}")
        if why not in {EQUAL, BOTH_UNPRICED}:
            for (other, (provider, model, entry)), times in found.most_common():
                if other == why:
                    print(f"{times:12,}  {provider}: {model} -> {entry or 'unpriced'}")
    priced, unpriced = unpriced_in_traces(catalogue, data)
    print(f"traces: {priced:,} events priced, {unpriced.total():,} unpriced:")
    for (provider, model), count in unpriced.most_common():
        print(f"{count:12,}  {provider}: {model}")
    print(f"unexplained: {totals[UNEXPLAINED]}")
    return 1 if totals[UNEXPLAINED] else 0


if __name__ == "__main__":
    sys.exit(main())
