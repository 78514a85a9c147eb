"""Raw records in the store, for a broker that forgets: kept by the sinks, read to refill it.

Whoever starts such a broker does this, with one client, before the sinks run:

1. ``life = next_life(client)``: this life of the log, to be given to the sinks as
   `SinkSettings.keep_raw_life`, the same one for as long as this broker lives;
2. ``forget_deleted(client)``: room for keys that tombstones have ended;
3. for each of `RAW_TOPICS`, produce what ``read_raw(client, topic)`` yields, in order, to the
   partition it names. Of `tollway.commands` it is every record at its old offset; a null value is
   to be produced too, so that the offsets stay. Of the compacted topics it is the newest of a key.

What comes back of the ledger is whole closings of the books: the sinks hold a closing's records
until its last one, the position, is there, and insert them in one block.

The sinks then read the refilled records again, under the new life, which changes nothing. Offsets
of `tollway.usage` begin anew with the new log; positions in the ledger's entries belong to the old
one and mean nothing in it.
"""

import struct
from collections.abc import Iterator
from typing import Final

from tollway.contract.topics import COMMANDS, CONTROL, LEDGER
from tollway.sinks.clickhouse import Client, stream_rows
from tollway.sinks.records import Line, Record

__all__ = ["RAW_TOPICS", "forget_deleted", "next_life", "raw_line", "read_raw"]

RAW_TOPICS: Final = (COMMANDS.name, CONTROL.name, LEDGER.name)

# Once a second from each partition, and worthless a second later.
_HEARTBEAT_KEY: Final = b"heartbeat|"
_LIFE_SHIFT: Final = 64


def raw_line(record: Record, life: int) -> Line | None:
    """The record as a row of `raw_records`, in RowBinary: keys and values are bytes, not text."""
    if record.topic not in RAW_TOPICS or (record.key or b"").startswith(_HEARTBEAT_KEY):
        return None
    compacted = record.topic != COMMANDS.name
    version = (life << _LIFE_SHIFT) + record.offset
    body = b"".join(
        (
            _text(record.topic.encode()),
            struct.pack("<iq", record.partition, -1 if compacted else record.offset),
            _text(record.key or b""),
            b"\x01" if record.value is None else b"\x00" + _text(record.value),
            struct.pack(
                "<Bqq", compacted and record.value is None, record.timestamp_ms, record.offset
            ),
            version.to_bytes(16, "little"),
        )
    )
    return Line("raw_records", body, record)


def _text(content: bytes) -> bytes:
    """Its length in LEB128, then itself."""
    length, prefix = len(content), bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + content


def next_life(client: Client) -> int:
    """One more than the newest life of the log that the store knows; 1 for an empty store."""
    rows = client.query("SELECT max(bitShiftRight(version, 64)) FROM raw_records").result_rows
    return int(rows[0][0]) + 1


def forget_deleted(client: Client) -> None:
    """Drops what tombstones have ended. Not while sinks write."""
    # Merge first: a tombstone dropped before the record it ends would bring that record back.
    client.command("OPTIMIZE TABLE raw_records FINAL")
    client.command("DELETE FROM raw_records WHERE deleted = 1")


def read_raw(client: Client, topic: str) -> Iterator[tuple[int, bytes, bytes | None]]:
    """``(partition, key, value)`` of a topic, each partition in the order of its log."""
    query = (
        "SELECT partition, key, value FROM raw_records FINAL"
        " WHERE topic = {topic:String} ORDER BY partition, version"
    )
    for partition, key, value in stream_rows(client, query, {"topic": topic}):
        if not isinstance(partition, int) or not isinstance(key, bytes):
            raise TypeError(f"raw_records answered {type(partition)}, {type(key)} for {topic}")
        yield partition, key, value if isinstance(value, bytes) else None
