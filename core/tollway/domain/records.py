"""What a record of the log has beside its value: headers, looked at only where they matter."""

from typing import NamedTuple, Protocol

__all__ = ["Headed", "Headers", "Stray"]

# As clients hand them over; of one name the last counts, as in Kafka's own `lastHeader`.
Headers = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]


class Headed(Protocol):
    """A record that makes its headers when it is asked: most are never asked."""

    def headers(self) -> Headers | None: ...


class Stray(NamedTuple):
    """A record of a workspace that lives in another partition, to be sent on as it came."""

    workspace: str
    value: bytes
    headers: Headers | None = None
