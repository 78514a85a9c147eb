"""Which faults strike when, and what they did."""

import random
from dataclasses import dataclass, field

__all__ = ["Fault", "Happened", "plan_faults"]


@dataclass(frozen=True)
class Fault:
    at_s: float
    what: str  # worker, sink, broker, hang
    # Which worker; how long a broker stays away or a worker hangs.
    which: int = 0
    for_s: float = 0.0


@dataclass
class Happened:
    """What was done to the fleet, and how often its processes ended by themselves."""

    faults: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)
    # Exit codes of processes that nobody had killed, with the last line of their log.
    own_ends: list[str] = field(default_factory=list)


def plan_faults(
    rng: random.Random, over_s: float, session_timeout_s: float, counts: dict[str, int]
) -> list[Fault]:
    """So many of each kind, at random moments; one worker hangs for longer than its session."""
    hang_s = session_timeout_s + 3.0
    faults: list[Fault] = []
    for _ in range(counts["hang"]):
        at_s = rng.uniform(0.2, 0.7) * over_s
        faults.append(Fault(at_s=at_s, what="hang", which=rng.randrange(2), for_s=hang_s))
    for what in ("worker", "sink", "broker"):
        for _ in range(counts[what]):
            at_s, which = rng.uniform(0.03, 0.97) * over_s, rng.randrange(2)
            for hang in faults[: counts["hang"]]:
                if which == hang.which and -2.0 < at_s - hang.at_s < hang_s + 5.0:
                    # A worker that hangs is to come back by itself, so the other one is killed.
                    which = 1 - which
            faults.append(Fault(at_s, what, which, rng.uniform(0.0, 2.0)))
    return faults
