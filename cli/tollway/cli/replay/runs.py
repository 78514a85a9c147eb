"""Recorded runs, each moved so that it ends at a given moment with its own spacing kept."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tollway.contract.moments import MalformedMoment, format_ms, parse_ms
from tollway.contract.usage import UsageEvent

__all__ = ["Moved", "Recorded", "Stamp", "moved", "read_recorded"]

# What a line that names no workspace is keyed by.
NO_WORKSPACE = "replay"


class _Head(msgspec.Struct):
    time: str
    workspace: str = NO_WORKSPACE
    agent: str = ""
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A line of a file. `run` is what moves together; None for what says no time."""

    line: bytes
    workspace: str
    run: tuple[str, str] | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A line and when it happens now; `rewrite` is False for what is sent as it is."""

    line: bytes
    workspace: str
    at_ms: int
    rewrite: bool


def read_recorded(files: Iterable[Path]) -> Iterator[Recorded]:
    for path in files:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for line in lines:
                line = line.rstrip(b"\r\n")
                if line:
                    yield _recorded(line)


_head = msgspec.json.Decoder(_Head)


def _recorded(line: bytes) -> Recorded:
    try:
        head = _head.decode(line)
        time_ms = parse_ms(head.time)
    except (msgspec.DecodeError, UnicodeDecodeError, MalformedMoment):
        return Recorded(line, NO_WORKSPACE, None, 0)
    run = (head.workspace, head.session or f"agent {head.agent}")
    return Recorded(line, head.workspace, run, time_ms)


def moved(recorded: list[Recorded], end_ms: int) -> list[Moved]:
    """In the order of their new times. What says no time keeps its place behind its neighbour."""
    ends: dict[tuple[str, str], int] = {}
    for each in recorded:
        if each.run is not None:
            ends[each.run] = max(ends.get(each.run, each.time_ms), each.time_ms)
    lines: list[Moved] = []
    at_ms = end_ms
    for each in recorded:
        if each.run is not None:
            at_ms = end_ms - (ends[each.run] - each.time_ms)
        lines.append(Moved(each.line, each.workspace, at_ms, each.run is not None))
    # Stable: lines of one moment stay in the order of the file.
    return sorted(lines, key=lambda line: line.at_ms)


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_event = msgspec.json.Decoder(UsageEvent)


class Stamp:
    """Writes the new time, and who sends it now, into lines; all else stays as it was recorded."""

    def __init__(self, producer: str) -> None:
        self._producer = msgspec.Raw(msgspec.json.encode(producer))
        self._next_seq: dict[str, int] = {}

    def stamp(self, line: Moved) -> bytes:
        if not line.rewrite:
            return line.line
        fields = _fields.decode(line.line)
        fields["time"] = msgspec.Raw(msgspec.json.encode(format_ms(line.at_ms)))
        for name in ("producer", "seq"):
            fields.pop(name, None)
        if _is_event(line.line):
            # A number that the worker cannot read would be counted as a lost event.
            seq = self._next_seq.get(line.workspace, 0)
            self._next_seq[line.workspace] = seq + 1
            fields["producer"] = self._producer
            fields["seq"] = msgspec.Raw(b"%d" % seq)
        return msgspec.json.encode(fields)


def _is_event(line: bytes) -> bool:
    try:
        _event.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
