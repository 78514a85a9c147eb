"""Where a worker's CPU time goes: fetch, decode, apply, encode, produce, collect.

Threads are counted by the kernel, and are a client's own: the fetcher's, the producers'. In the
loop's thread, whole slices and whole closings are timed, never single events. What decoding costs
inside a slice is found by decoding the same records once more beside it; the total leaves that out.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer

from tollway.domain.reading import Unreadable, read_usage
from tollway.streams import memory
from tollway.streams.kafka import Chunk, ChunkFetcher, fetching, reading
from tollway.streams.owner import Owner

__all__ = ["STAGES", "shares", "write_stages"]

STAGES = ("fetch", "decode", "apply", "encode", "produce", "collect", "other")
_EVERY_S = 0.25
_SETTLE_S = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")


class _Clock:
    """CPU-seconds by what they were spent on, in whichever thread."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(
            ("again", "decode", "apply", "encode", "publish", "settle", "take"), 0.0
        )
        self.events = 0
        # Threads that librdkafka started for the fetcher.
        self.fetching: set[int] = set()
        self._threads_s: dict[int, float] = {}
        self._names: dict[int, str] = {}

    def timed(self, stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- whatever the method takes
            began_s = time.thread_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.spent[stage] += time.thread_time() - began_s

        return timed

    def decoding(self, apply: Callable[..., None]) -> Callable[..., None]:
        """Before each slice, decodes its records a second time, to know what that costs."""

        @wraps(apply)
        def decoding(self_: Owner, chunk: Chunk, first: int, last: int) -> None:
            values = chunk.values[first:last]
            began_s = time.thread_time()
            for value in values:
                try:
                    read_usage(value)
                except Unreadable:
                    continue
            took_s = time.thread_time() - began_s
            self.spent["again"] += took_s
            self.spent["decode"] += took_s
            apply(self_, chunk, first, last)
            self.events += len(values)

        return decoding

    def settled(self, reader: Callable[..., Consumer]) -> Callable[..., Consumer]:
        """Connects the fetcher's client at once and alone: new threads are its own."""

        @wraps(reader)
        def settled(*args: Any, **kwargs: Any) -> Consumer:  # noqa: ANN401 -- whatever it takes
            # The clients made before it are given time to have started theirs.
            time.sleep(_SETTLE_S)
            before = {tid for tid, _ in _threads()}
            consumer = reader(*args, **kwargs)
            consumer.list_topics(timeout=10.0)
            time.sleep(_SETTLE_S)
            self.fetching = {tid for tid, _ in _threads()} - before
            return consumer

        return settled

    def look(self) -> None:
        """Remembers what each thread has used: one that ends takes its figure with it."""
        named = {thread.native_id: thread.name for thread in threading.enumerate()}
        for tid, seconds in _threads():
            self._threads_s[tid] = seconds
            self._names.setdefault(tid, named.get(tid, ""))

    def line(self) -> str:
        self.look()
        fetch = produce = 0.0
        for tid, seconds in self._threads_s.items():
            name = self._names[tid]
            if tid in self.fetching or name == "tollway-chunks":
                fetch += seconds
            elif _is_producing(name):
                produce += seconds
        process_s = time.process_time()
        spent = {**self.spent, "fetch": fetch, "threads_producing": produce, "process": process_s}
        return json.dumps({"events": self.events, **spent}) + "\n"


def _is_producing(name: str) -> bool:
    """Threads that Python does not know are librdkafka's."""
    return not name or name.startswith("tollway-books") or name == "tollway-control"


def _threads() -> list[tuple[int, float]]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append((int(task.name), (int(fields[11]) + int(fields[12])) / _TICKS))
    return found


def write_stages(path: Path) -> None:
    """From now on writes a line of totals to `path`, several times a second."""
    clock = _Clock()
    patches: list[tuple[object, str, object]] = [
        (fetching, "reader", clock.settled(reading.reader)),
        (ChunkFetcher, "_take", clock.timed("take", ChunkFetcher._take)),
        (memory, "settle", clock.timed("settle", memory.settle)),
        (Owner, "_publish", clock.timed("publish", Owner._publish)),
        (Owner, "close", clock.timed("encode", Owner.close)),
        (Owner, "apply", clock.decoding(clock.timed("apply", Owner.apply))),
    ]
    for target, name, timed in patches:
        setattr(target, name, timed)

    def write() -> None:
        with path.open("w", buffering=1) as lines:
            while True:
                lines.write(clock.line())
                time.sleep(_EVERY_S)

    threading.Thread(target=write, name="bench-stages", daemon=True).start()


def shares(path: Path) -> dict[str, float]:
    """The share of each stage, in percent, from the first line with events to the last."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    first = next(line for line in lines if line["events"])
    last = lines[-1]
    spent = {name: last[name] - first[name] for name in first}
    total = spent["process"] - spent["again"]
    stages = {
        "fetch": spent["fetch"] + spent["take"],
        "decode": spent["decode"],
        "apply": spent["apply"] - spent["publish"] - spent["decode"],
        "encode": spent["encode"],
        "produce": spent["threads_producing"] + spent["publish"],
        "collect": spent["settle"],
    }
    stages["other"] = total - sum(stages.values())
    return {name: 100 * seconds / total for name, seconds in stages.items()}
