"""A log of usage for fault tests, made from recorded runs: whole, repeated, shuffled, late, bad."""

import gzip
import json
import math
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain, count
from pathlib import Path
from typing import Literal

import msgspec

from tollway.contract.topics import partition_of
from workload_bad import bad_values
from workload_commands import head_commands, later_commands
from workload_events import Event, dressed, outcome, share
from workload_wrapped import wrapped

__all__ = [
    "LogLine",
    "Plan",
    "end_for",
    "read_log",
    "recorded_traces",
    "why_no_traces",
    "write_log",
]

MINUTE_MS = 60_000
SHUFFLED_WITHIN_MS = 10 * MINUTE_MS
LATE_BY_MS = 48 * 60 * MINUTE_MS
LONGEST_SESSION_MS = 30 * MINUTE_MS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTITIONS = 12
# Logs end soon after something happened to clocks or calendars, in some zone of the budgets'.
_ENDS = (
    "2026-03-29T02:10:00+00:00",  # Berlin's clocks go forward
    "2026-10-25T02:20:00+00:00",  # and back
    "2026-03-08T07:00:00+00:00",  # St. John's go forward
    "2026-01-01T00:40:00+00:00",  # a new year, month, day, and a week that began before it
    "2026-03-01T19:00:00+00:00",  # a new day and month in Kathmandu, weeks apart
)
_ODD_NAMES = ("Ünïcode GmbH", "a|b&c=d", "x/y z %7C")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`events` counts usage records, duplicates among them; bad records come on top.

    With `log_time="recorded"` each record carries the broker's time that it would have had; with
    ``"broker"`` it gets the real one, and no record may depend on it. `misrouted` needs the latter:
    what a worker sends on is sent now.
    """

    seed: int
    events: int
    end_ms: int
    log_time: Literal["recorded", "broker"] = "recorded"
    workspaces: int = 36
    span_ms: int = 4 * 60 * MINUTE_MS
    duplicates: float = 0.05
    late: float = 0.01
    bad: float = 0.002
    misrouted: float = 0.0


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record to send. `dead` is the reason of the dead letter it must become.

    `plain` is the usage event of a CloudEvent by itself, for who reads the log by hand.
    """

    topic: Literal["usage", "commands"]
    partition: int
    key: str
    value: bytes | None
    stamp_ms: int
    dead: str = ""
    headers: dict[str, str] | None = None
    plain: bytes | None = None


def end_for(seed: int) -> int:
    """When a log with recorded time ends, in ms: the seed alone says it."""
    return _ms(_ENDS[seed % len(_ENDS)])


def _traces() -> Path:
    data = os.environ.get("TOLLWAY_DATA")
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return (Path(data) if data else beside) / "traces"


def why_no_traces() -> str | None:
    """What is missing; None if the recorded runs are there."""
    if any(_traces().glob("*.jsonl.gz")):
        return None
    return f"no recorded runs in {_traces()}; set TOLLWAY_DATA to the directory that has them"


def recorded_traces() -> list[list[Event]]:
    """The recorded runs, each the list of its events."""
    runs: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for path in sorted(_traces().glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            for line in lines:
                event: Event = json.loads(line)
                runs[(event["source"], event["session"])].append(event)
    return list(runs.values())


def write_log(plan: Plan, runs: list[list[Event]], path: Path) -> int:
    """Writes the log's records in order; returns how many."""
    rng = random.Random(plan.seed)
    names = _workspace_names(plan.workspaces)
    unique = round(plan.events / (1 + plan.duplicates))
    events = _timed(plan, _repeated(runs, unique, names, rng), rng)
    _number(events, rng)
    usage = sorted(_sendings(plan, events, rng), key=lambda line: line.stamp_ms)
    lines = [*_commands(head_commands(names), plan), *_mixed(plan, usage, names, rng)]
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as log:
        for line in lines:
            log.write(encode(line) + b"\n")
    return len(lines)


def read_log(path: Path) -> Iterator[LogLine]:
    decode = msgspec.json.Decoder(LogLine).decode
    with path.open("rb") as log:
        for line in log:
            yield decode(line)


def _workspace_names(wanted: int) -> list[str]:
    """As many in each partition, some of them hard to write in a key."""
    room = {partition: wanted // _PARTITIONS for partition in range(_PARTITIONS)}
    names: list[str] = []
    for name in chain(_ODD_NAMES, (f"team-{n:02d}" for n in count())):
        if not any(room.values()):
            return names
        partition = partition_of(name, _PARTITIONS)
        if room[partition]:
            room[partition] -= 1
            names.append(name)
    raise AssertionError("names do not end")


def _repeated(
    runs: list[list[Event]], wanted: int, names: list[str], rng: random.Random
) -> list[list[Event]]:
    """Whole runs until there are `wanted` events, the last one cut; repeats get names of their own.

    Some runs are children of an earlier run of the same workspace.
    """
    chosen: list[list[Event]] = []
    parents: dict[str, str] = {}
    left = wanted
    for copy in count():
        for run in rng.sample(runs, len(runs)):
            if left <= 0:
                return chosen
            session = f"{run[0]['session']}~{copy}" if copy else str(run[0]["session"])
            workspace = names[share(session, len(names))]
            parent = parents.get(workspace) if share(f"child {session}", 20) == 0 else None
            if parent is None:
                parents[workspace] = session
            events = [dressed(event, copy, session, parent, workspace) for event in run]
            if share(f"outcome {session}", 3) == 0:
                events.append(outcome(events[-1]))
            chosen.append(events[:left])
            left -= len(events)
    raise AssertionError("runs do not end")


def _ms(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


def _timed(plan: Plan, runs: list[list[Event]], rng: random.Random) -> list[tuple[int, Event]]:
    """Every run somewhere in the span, its steps as far apart as recorded, but for long pauses."""
    timed: list[tuple[int, Event]] = []
    for run in runs:
        moments = [_ms(event["time"]) for event in run]
        length = max(moments) - min(moments)
        shrink = max(1, math.ceil(length / LONGEST_SESSION_MS))
        start = rng.randrange(plan.end_ms - plan.span_ms, plan.end_ms - length // shrink)
        for moment, event in zip(moments, run, strict=True):
            timed.append((start + (moment - min(moments)) // shrink, event))
    timed.sort(key=lambda pair: pair[0])
    return timed


def _number(events: list[tuple[int, Event]], rng: random.Random) -> None:
    """Most events come from processes that number them; a few numbers are never sent."""
    next_seq: defaultdict[tuple[str, str], int] = defaultdict(int)
    for _, event in events:
        if rng.random() < 0.15:
            continue
        producer = f"process-{share(str(event.get('session')), 60)}"
        place = (event["workspace"], producer)
        if rng.random() < 0.002:
            next_seq[place] += rng.randint(1, 3)
        event["producer"], event["seq"] = producer, next_seq[place]
        next_seq[place] += 1


def _written(ms: int, rng: random.Random) -> str:
    """A moment as emitters write it: in UTC, in another zone, with more digits."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    style = rng.randrange(20)
    if style == 0:
        moment = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
        return (moment + timedelta(microseconds=789)).isoformat()
    if style == 1:
        return moment.isoformat()
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sendings(plan: Plan, events: list[tuple[int, Event]], rng: random.Random) -> Iterator[LogLine]:
    """Each event as it is sent: shuffled, some late, some twice, some with a broken clock."""
    gateway_seq: defaultdict[str, int] = defaultdict(int)
    for ms, event in events:
        said_ms = ms
        if rng.random() < plan.late:
            said_ms -= LATE_BY_MS
        elif plan.log_time == "recorded" and rng.random() < 0.001:
            # Past the horizon, and in the future: booked at the broker's time.
            said_ms += rng.choice((-100, 3)) * 60 * MINUTE_MS
        event["time"] = _written(said_ms, rng)
        sent_ms = ms + rng.randrange(SHUFFLED_WITHIN_MS)
        once = rng.random() >= plan.duplicates
        line = _usage(event, sent_ms)
        if once and rng.random() < plan.misrouted:
            # To a partition of other workspaces, as a producer with another partitioner does.
            wrong = (line.partition + rng.randrange(1, _PARTITIONS)) % _PARTITIONS
            line = msgspec.structs.replace(line, partition=wrong)
        yield line
        if not once:
            again = dict(event)
            if rng.random() < 0.25:
                # A gateway reports the same call.
                workspace = event["workspace"]
                again |= {"producer": "gateway", "seq": gateway_seq[workspace]}
                again["connection"] = "gateway"
                gateway_seq[workspace] += 1
            yield _usage(again, sent_ms + rng.randrange(-MINUTE_MS, SHUFFLED_WITHIN_MS))


def _usage(event: Event, stamp_ms: int) -> LogLine:
    workspace = str(event["workspace"])
    plain = json.dumps(event, ensure_ascii=False).encode()
    value, headers = wrapped(event, plain)
    return LogLine(
        topic="usage",
        partition=partition_of(workspace, _PARTITIONS),
        key=workspace,
        value=value,
        stamp_ms=stamp_ms,
        headers=headers,
        plain=None if headers is None else plain,
    )


def _commands(
    commands: Iterable[tuple[str, bytes, str]], plan: Plan, at_ms: int = 0
) -> Iterator[LogLine]:
    for workspace, value, dead in commands:
        yield LogLine(
            topic="commands",
            partition=partition_of(workspace, _PARTITIONS),
            key=workspace,
            value=value,
            stamp_ms=at_ms or plan.end_ms - plan.span_ms,
            dead=dead,
        )


def _mixed(
    plan: Plan, usage: list[LogLine], names: list[str], rng: random.Random
) -> Iterator[LogLine]:
    """Usage with what people do meanwhile, and with records that are no events."""
    every = max(1, round(1 / plan.bad))
    bad = iter(bad_values(rng))
    later = later_commands(names, rng)
    due = {len(usage) * (place + 1) // (len(later) + 1): group for place, group in enumerate(later)}
    for at, line in enumerate(usage):
        if at in due:
            yield from _commands(due[at], plan, line.stamp_ms)
        if at % every == every - 1:
            value, reason = next(bad)
            yield msgspec.structs.replace(line, value=value, dead=reason, headers=None)
        yield line
