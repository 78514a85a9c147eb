"""The worker's home of confluent-kafka: chunks, commands, the ledger's records, what it writes."""

from tollway.streams.kafka.commands import CommandReader, CommandRecord
from tollway.streams.kafka.fetching import Chunk, ChunkFetcher
from tollway.streams.kafka.reading import LogBounds, partition_counts, read_ledger, usage_bounds
from tollway.streams.kafka.writing import Books, ControlWriter, Fenced, Outgoing

__all__ = [
    "Books",
    "Chunk",
    "ChunkFetcher",
    "CommandReader",
    "CommandRecord",
    "ControlWriter",
    "Fenced",
    "LogBounds",
    "Outgoing",
    "partition_counts",
    "read_ledger",
    "usage_bounds",
]
