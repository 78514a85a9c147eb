"""The worker's home of confluent-kafka: chunks, commands, the ledger's records, what it writes."""

from tollway.streams.kafka.asking import TopicIds, group_members, group_offset
from tollway.streams.kafka.commands import CommandReader, CommandRecord
from tollway.streams.kafka.fetching import Chunk, ChunkFetcher
from tollway.streams.kafka.reading import (
    POSITION_KEY,
    LogBounds,
    Written,
    log_bounds,
    partition_counts,
    read_ledger,
)
from tollway.streams.kafka.traces import (
    Said,
    all_commands,
    first_since,
    last_charged,
    read_said,
)
from tollway.streams.kafka.writing import Books, ControlWriter, Fenced, Outgoing

__all__ = [
    "POSITION_KEY",
    "Books",
    "Chunk",
    "ChunkFetcher",
    "CommandReader",
    "CommandRecord",
    "ControlWriter",
    "Fenced",
    "LogBounds",
    "Outgoing",
    "Said",
    "TopicIds",
    "Written",
    "all_commands",
    "first_since",
    "group_members",
    "group_offset",
    "last_charged",
    "log_bounds",
    "partition_counts",
    "read_ledger",
    "read_said",
]
