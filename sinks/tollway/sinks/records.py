"""A record as it came from a topic, and the table and bytes that it becomes."""

import msgspec

__all__ = ["Line", "Place", "Record"]

# A topic and a partition of it.
Place = tuple[str, int]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int

    @property
    def place(self) -> Place:
        return (self.topic, self.partition)


class Line(msgspec.Struct, frozen=True, gc=False):
    """Rows for one table, in the format of that table, and the record they came from."""

    table: str
    body: bytes
    origin: Record
