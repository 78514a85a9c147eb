"""What a response's parts hold, whether they are dictionaries or an SDK's objects."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

__all__ = ["Fields", "chunks_in", "count", "count_or_0", "fields_of", "items", "name", "number"]

_MAX_NAME: Final = 512
# Far above what any response uses, and so far below an event's limit that sums of parts fit it.
_MAX_TOLD: Final = 2**40
_MAX_SECONDS: Final = 2**31
_LISTS: Final = (list, tuple)
_PLAIN: Final = frozenset({str, bytes, bytearray, memoryview, int, float, bool, list, tuple})


class Fields(Protocol):
    """A part of a response: a dictionary, or an SDK's object seen as one."""

    def get(self, name: str, /) -> object:
        """The value, or None where there is none."""


class _Attributes:
    """An object of which nothing is known but that it may have attributes."""

    __slots__ = ("_thing",)

    def __init__(self, thing: object) -> None:
        self._thing = thing

    def get(self, name: str, /) -> object:
        return getattr(self._thing, name, None)


def fields_of(thing: object) -> Fields | None:
    """`thing` as fields; None for what has none, such as a text or a number."""
    kind = type(thing)
    if kind is dict:
        return thing  # type: ignore[return-value]  # `kind` says that it is a dictionary
    if thing is None or kind in _PLAIN:
        return None
    if hasattr(kind, "__pydantic_fields__"):
        # Not by getattr: what a model lacks costs it a microsecond to deny.
        known: dict[str, object] = thing.__dict__
        more: dict[str, object] | None = getattr(thing, "__pydantic_extra__", None)
        return {**known, **more} if more else known
    if isinstance(thing, Mapping):
        return thing
    return _Attributes(thing)


def chunks_in(thing: object) -> Iterable[object]:
    """What an iterable gives that is no response itself: a generator, a stream, a file."""
    if isinstance(thing, Mapping) or hasattr(type(thing), "__pydantic_fields__"):
        return ()
    return thing if isinstance(thing, Iterable) else ()


def count(value: object) -> int | None:
    """A count; None for anything that cannot be one: unknown is not zero."""
    if type(value) is int:
        return value if 0 <= value <= _MAX_TOLD else None
    # Cohere's SDK has its counts as floats.
    if type(value) is float and 0 <= value <= _MAX_TOLD and value.is_integer():
        return int(value)
    return None


def count_or_0(value: object) -> int:
    """For the parts of a whole that is told: what is absent there is none."""
    return count(value) or 0


def number(value: object) -> float:
    """Seconds of audio; 0 where they are not told."""
    if type(value) is int or type(value) is float:
        return float(value) if 0 <= value <= _MAX_SECONDS else 0.0
    return 0.0


def name(value: object) -> str:
    """A name that an event may hold, else ""; of an enumeration the value."""
    if isinstance(value, str) and len(value) <= _MAX_NAME:
        return value if type(value) is str else str.__str__(value)
    return ""


def items(value: object) -> Iterable[Fields]:
    """The parts of a list that have fields."""
    # Not `list | tuple`: that would make a type each time.
    if not value or not isinstance(value, _LISTS):
        return ()
    return [part for part in map(fields_of, value) if part is not None]
