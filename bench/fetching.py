"""CPU of reading `tollway.usage` into columns: aiokafka's fetcher against librdkafka's.

`python -m bench.fetching HOST:PORT COUNT` on a broker that holds COUNT records.
"""

import asyncio
import sys
import time
from typing import Any

import aiokafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tollway.contract.topics import USAGE

_FETCH_BYTES = 4 * 1024 * 1024
_ROUNDS = 3


def librdkafka(brokers: str, count: int) -> float:
    """CPU-seconds for a million records."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "bench-fetching",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        }
    )
    partitions = consumer.list_topics(USAGE.name, timeout=10.0).topics[USAGE.name].partitions
    consumer.assign([TopicPartition(USAGE.name, number, OFFSET_BEGINNING) for number in partitions])
    began_s, read = time.process_time(), 0
    while read < count:
        records = consumer.consume(4000, 0.05)
        _ = [(r.value(), r.key(), r.offset(), r.timestamp()[1], r.partition()) for r in records]
        read += len(records)
    consumer.close()
    return (time.process_time() - began_s) / read * 1e6


async def faust_driver(brokers: str, count: int) -> float:
    """CPU-seconds for a million records, as Faust's driver fetches them."""
    kind: Any = aiokafka.AIOKafkaConsumer  # untyped
    consumer = kind(
        USAGE.name,
        bootstrap_servers=brokers,
        max_partition_fetch_bytes=_FETCH_BYTES,
        check_crcs=False,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    began_s, read = time.process_time(), 0
    while read < count:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            _ = [(r.value, r.key, r.offset, r.timestamp, r.partition) for r in batch]
            read += len(batch)
    spent_s = time.process_time() - began_s
    await consumer.stop()
    return spent_s / read * 1e6


def main() -> None:
    brokers, count = sys.argv[1], int(sys.argv[2])
    for _ in range(_ROUNDS):
        ours = librdkafka(brokers, count)
        theirs = asyncio.run(faust_driver(brokers, count))
        print(f"librdkafka {ours:.2f}, aiokafka {theirs:.2f} CPU-s/million: {theirs / ours:.1f} x")


if __name__ == "__main__":
    main()
