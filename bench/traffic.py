"""The bench's events: recorded runs, repeated as new runs, in the order of their times.

A run is never split. Its own spacing is kept, squeezed where it is longer than `SPAN_MS`, and it
ends at most `SPAN_MS` ago: as if all agents had worked side by side, up to now.
"""

import gzip
import os
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from tollway.contract.command import (
    Budget,
    Command,
    PriceOverride,
    PricePerMillion,
    SetBudget,
    SetPrice,
)
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Catalogue
from tollway.domain.usage import Usage

__all__ = ["Record", "Traffic", "data_directory"]

ROOT = Path(__file__).resolve().parent.parent
SPAN_MS = 10 * 60 * 1000
SEED = 20261122
# A source with many runs becomes as many workspaces, so that no partition has most of the work.
WORKSPACES = {"intercode": 16, "claude_code_traces": 12, "mint_bench": 8}
# Processes that send for one workspace.
PRODUCERS = 4
# Open models that the recorded agents hosted themselves have no list price: their owners set one.
OWN_PRICE = PricePerMillion(input=Decimal("0.20"), output=Decimal("0.80"))
PRICES_SINCE = "2020-01-01T00:00:00Z"

Event = dict[str, object]


class Record(NamedTuple):
    """What the broker gets."""

    key: bytes
    value: bytes


def data_directory() -> Path:
    return Path(os.environ.get("TOLLWAY_DATA") or ROOT.parent / "shared" / "data")


class _Run:
    """One recorded run: its events, and when each was, from its first."""

    __slots__ = ("events", "offsets_ms", "source", "workspace")

    def __init__(self, source: str, events: list[Event]) -> None:
        times = [parse_ms(str(event["time"])) for event in events]
        first, length = min(times), max(times) - min(times)
        squeeze = max(1.0, length / SPAN_MS)
        self.source = source
        self.events = events
        self.offsets_ms = [int((time - first) / squeeze) for time in times]
        number = crc32(str(events[0]["session"]).encode()) % WORKSPACES.get(source, 1)
        self.workspace = f"{events[0]['workspace']}-{number}"


def _recorded(traces: Path) -> list[_Run]:
    decode = msgspec.json.Decoder(Event).decode
    runs: list[_Run] = []
    for path in sorted(traces.glob("*.jsonl.gz")):
        sessions: dict[object, list[Event]] = {}
        with gzip.open(path) as lines:
            for line in lines:
                event = decode(line)
                sessions.setdefault(event["session"], []).append(event)
        source = path.name.removesuffix(".jsonl.gz")
        runs.extend(_Run(source, events) for events in sessions.values())
    return runs


class Traffic:
    """`count` events of recorded runs, the last repetition perhaps in part."""

    def __init__(self, count: int, data: Path) -> None:
        self.count = count
        self._runs = _recorded(data / "traces")
        if not self._runs:
            raise FileNotFoundError(f"no recorded runs in {data}; set TOLLWAY_DATA")

    def workspaces(self) -> list[str]:
        return sorted({run.workspace for run in self._runs})

    def records(self, end_ms: int) -> Iterator[Record]:
        """The events, encoded, in order of time; `end_ms` is now."""
        # (time, repetition, run, step): sorted, the runs lie side by side as they did in life.
        order = sorted(self._placed(end_ms))
        encode = msgspec.json.Encoder().encode
        convert = msgspec.convert
        sequences: dict[str, int] = {}
        for time_ms, repetition, number, step in order:
            run = self._runs[number]
            event = run.events[step]
            producer = f"{run.workspace}-{(number + repetition) % PRODUCERS}"
            sequence = sequences[producer] = sequences.get(producer, -1) + 1
            sent = {
                **event,
                "id": f"{event['id']}~{repetition}",
                "producer": producer,
                "seq": sequence,
                "time": format_ms(time_ms),
                "workspace": run.workspace,
                "session": f"{event['session']}~{repetition}",
                "connection": event.get("provider") or "tools",
            }
            # In the SDK's own order of fields.
            yield Record(run.workspace.encode(), encode(convert(sent, UsageEvent)))

    def _placed(self, end_ms: int) -> Iterator[tuple[int, int, int, int]]:
        chance = random.Random(SEED)
        numbers = list(range(len(self._runs)))
        left, repetition = self.count, 0
        while left > 0:
            chance.shuffle(numbers)
            for number in numbers:
                run = self._runs[number]
                length = max(run.offsets_ms)
                start = end_ms - length - chance.randrange(SPAN_MS - length + 1)
                for step, offset in enumerate(run.offsets_ms[:left]):
                    yield start + offset, repetition, number, step
                left -= min(left, len(run.events))
                if not left:
                    return
            repetition += 1

    def commands(self, now_ms: int) -> list[Command]:
        """Every rule on: five budgets in each workspace, and a price for what no list knows."""
        time = format_ms(now_ms)
        made: list[Command] = []
        for workspace in self.workspaces():
            for budget in BUDGETS:
                about = {"id": f"{workspace}-{budget.id}", "time": time, "workspace": workspace}
                made.append(SetBudget.model_validate({**about, "budget": budget}))
        catalogue = Catalogue.bundled()
        for workspace, provider, model in sorted(self._sold()):
            if catalogue.rates(provider, model, None, now_ms) is None:
                price = PriceOverride.model_validate(
                    {
                        "provider": provider,
                        "model": model,
                        "effective_from": PRICES_SINCE,
                        "price": OWN_PRICE,
                    }
                )
                about = {"id": f"{workspace}-{model}", "time": time, "workspace": workspace}
                made.append(SetPrice.model_validate({**about, "price": price}))
        return made

    def _sold(self) -> set[tuple[str, str, str]]:
        """Workspace, provider and model of every call."""
        return {
            (run.workspace, str(event.get("provider") or ""), str(event["model"]))
            for run in self._runs
            for event in run.events
            if event.get("model")
        }

    def rates(self, now_ms: int) -> dict[str, tuple[int, int, int]]:
        """Pico-dollars a token by model: input, output, cache reads. For who prices simply."""
        catalogue = Catalogue.bundled()
        found: dict[str, tuple[int, int, int]] = {}
        for _, provider, model in self._sold():
            listed = catalogue.rates(provider, model, None, now_ms)
            if listed is None:
                found[model] = (200_000, 800_000, 200_000)
                continue
            found[model] = (
                listed.cost_pico(Usage(_used(input_tokens=1))),
                listed.cost_pico(Usage(_used(output_tokens=1))),
                listed.cost_pico(Usage(_used(input_tokens=1, cache_read_tokens=1))),
            )
        return found


def _used(**counts: int) -> UsageEvent:
    return UsageEvent(id="-", time="-", workspace="-", agent="-", **counts)  # type: ignore[arg-type]  # counts only


# Limits that most subjects stay under and some do not, so that verdicts are part of the work.
BUDGETS = (
    Budget(id="everything", window="day", limit_usd="5000"),
    Budget(id="each-agent", match={"agent": "*"}, window="day", limit_usd="1000"),
    Budget(id="each-run", match={"session": "*"}, window="run", limit_usd="25"),
    Budget(id="each-model", match={"model": "*"}, window="month", limit_usd="1000"),
    Budget(id="each-connection", match={"connection": "*"}, window="day", limit_usd="2500"),
)
