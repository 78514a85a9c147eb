"""Reads responses and streams of any provider."""

from tollway.producers.responses.usage import ResponseUsage

__all__ = ["Reader", "usage_of"]


class Reader:
    """Takes the chunks of one stream, and says at any moment what is known of its usage."""

    def __init__(self, *, provider: str | None = None, api: str | None = None) -> None:
        raise NotImplementedError

    def feed(self, chunk: object) -> None:
        """A chunk as it comes: an SDK's object, a dictionary, a line or a block of bytes."""
        raise NotImplementedError

    def usage(self) -> ResponseUsage:
        """What is known by now; `usage_missing` where the stream has not said its usage."""
        raise NotImplementedError


def usage_of(
    response: object, *, provider: str | None = None, api: str | None = None
) -> ResponseUsage:
    """The usage that a response tells of."""
    raise NotImplementedError
