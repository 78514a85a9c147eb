"""An agent process of the latency measurement: records, and waits to see itself blocked.

``python -m bench.emitter BROKERS WORKSPACE RATE SECONDS CALLS``. Every session makes `CALLS` calls,
the number at which its budget blocks it. Prints, for each session of the guarded workspace after
the first seconds, the milliseconds from the `record()` of its last call to its block's arrival in
this process, as JSON. A quarter of the events goes to that workspace, the rest to others.
"""

import json
import sys
import threading
import time

from tollway import meter
from tollway.contract.control import Decision

OTHERS = 11
GUARDED_EVERY = 4
READY_S = 30.0
# Connections, caches and the broker's compiler get warm before anything counts.
WARM_UP_S = 3.0
# How long the last blocks may take.
LAST_S = 5.0

USAGE = {
    "provider": "openai",
    "model": "gpt-4o-2024-08-06",
    "input_tokens": 1843,
    "output_tokens": 412,
    "cache_read_tokens": 1024,
    "duration_ms": 2310,
}


class Blocks:
    """When the last call of each session was recorded, and when its block was seen."""

    def __init__(self) -> None:
        self.recorded_s: dict[str, float] = {}
        self.seen_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def see(self, decision: Decision) -> None:
        now_s = time.perf_counter()
        session = decision.subject.get("session")
        if session is not None and decision.rule == "budget:calls":
            with self._lock:
                self.seen_s.setdefault(session, now_s)

    def missed(self) -> set[str]:
        """Sessions whose block has not come: those of the first seconds are not waited for."""
        return set(self.recorded_s) - set(self.seen_s)

    def latencies_ms(self) -> list[float]:
        seen = self.seen_s
        return [1000 * (seen[s] - at) for s, at in self.recorded_s.items() if s in seen]


def emit(blocks: Blocks, workspace: str, rate: int, seconds: float, calls: int) -> int:
    """Records at an even rate; returns how many events it could."""
    began_s = time.perf_counter()
    total = int(rate * (WARM_UP_S + seconds))
    guarded = 0
    for number in range(total):
        due_s = began_s + number / rate
        while (wait_s := due_s - time.perf_counter()) > 0:
            time.sleep(wait_s)
        if number % GUARDED_EVERY:
            other = f"{workspace}-{number % OTHERS}"
            meter.record(
                workspace=other, session=f"o-{number // 40}", prompt_hash=f"{number:x}", **USAGE
            )
            continue
        session, call = f"s-{guarded // calls}", guarded % calls
        guarded += 1
        if call == calls - 1 and number >= rate * WARM_UP_S:
            blocks.recorded_s[session] = time.perf_counter()
        # No prompt repeats: a block of the loop detector is not what is waited for.
        meter.record(session=session, prompt_hash=f"{number:x}", **USAGE)
    return total


def main() -> None:
    brokers, workspace, rate, seconds, calls = sys.argv[1:]
    meter.init(brokers=brokers, workspace=workspace, agent="bench")
    if not meter.ready(READY_S):
        sys.exit("the guard did not read the standing decisions in time")
    blocks = Blocks()
    meter.on_decision(blocks.see)
    began_s = time.perf_counter()
    sent = emit(blocks, workspace, int(rate), float(seconds), int(calls))
    took_s = time.perf_counter() - began_s
    deadline_s = time.monotonic() + LAST_S
    while blocks.missed() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    said = {
        "rate": sent / took_s,
        "dropped": sum(meter.stats().dropped.values()),
        "crossed": len(blocks.recorded_s),
        "latencies_ms": blocks.latencies_ms(),
        "missed": sorted(blocks.missed()),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
