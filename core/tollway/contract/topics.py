"""The topics: names, keys, how they are kept, and which partition a workspace lives in."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "CHARGES",
    "COMMANDS",
    "CONTROL",
    "DEADLETTER",
    "DEFAULT_PARTITIONS",
    "LEDGER",
    "TOPICS",
    "USAGE",
    "Topic",
    "partition_of",
]

DEFAULT_PARTITIONS = 12
_HOUR_MS = 60 * 60 * 1000
_DAY_MS = 24 * _HOUR_MS


@dataclass(frozen=True, kw_only=True)
class Topic:
    """`co_partitioned` topics have the same number of partitions, and a workspace one in each."""

    name: str
    config: Mapping[str, str]
    co_partitioned: bool


USAGE = Topic(
    name="tollway.usage",
    config={
        "cleanup.policy": "delete",
        "retention.ms": str(7 * _DAY_MS),
        "message.timestamp.type": "LogAppendTime",
        # Far above the limit of an event, so that what is too large becomes a dead letter that
        # somebody sees, not an error in an agent that nobody reads.
        "max.message.bytes": str(16 * 1024 * 1024),
    },
    co_partitioned=True,
)
COMMANDS = Topic(
    name="tollway.commands",
    config={
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "message.timestamp.type": "LogAppendTime",
    },
    co_partitioned=True,
)
CONTROL = Topic(
    name="tollway.control",
    config={"cleanup.policy": "compact", "min.compaction.lag.ms": str(7 * _DAY_MS)},
    co_partitioned=True,
)
LEDGER = Topic(
    name="tollway.ledger",
    config={
        "cleanup.policy": "compact",
        # The sinks read the last words of what leaves before its tombstone takes them away: they
        # may be behind for so long. Longer would make taking a partition over slow.
        "min.compaction.lag.ms": str(_HOUR_MS),
        "max.message.bytes": str(16 * 1024 * 1024),
    },
    co_partitioned=True,
)
CHARGES = Topic(
    name="tollway.charges",
    config={
        "cleanup.policy": "delete",
        "retention.ms": str(7 * _DAY_MS),
        "max.message.bytes": str(16 * 1024 * 1024),
    },
    co_partitioned=True,
)
DEADLETTER = Topic(
    name="tollway.deadletter",
    config={"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)},
    co_partitioned=False,
)
TOPICS: tuple[Topic, ...] = (USAGE, COMMANDS, CONTROL, LEDGER, CHARGES, DEADLETTER)


@lru_cache(maxsize=65_536)
def partition_of(workspace: str, partitions: int) -> int:
    """The partition of a workspace in every co-partitioned topic: Kafka's default, murmur2.

    Equals ``partitioner=murmur2_random`` in librdkafka for the key `workspace` in UTF-8.
    """
    return (_murmur2(workspace.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Murmur2 as in org.apache.kafka.common.utils.Utils.murmur2, unsigned."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = (int.from_bytes(data[at : at + 4], "little") * multiplier) & mask
        word = ((word ^ (word >> 24)) * multiplier) & mask
        value = ((value * multiplier) & mask) ^ word
    rest = data[whole:]
    if rest:
        value = ((value ^ int.from_bytes(rest, "little")) * multiplier) & mask
    value = ((value ^ (value >> 13)) * multiplier) & mask
    return value ^ (value >> 15)
