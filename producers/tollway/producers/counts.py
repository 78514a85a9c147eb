"""Counts that many threads add to without a lock, exactly, also from inside a signal handler."""

from collections.abc import Callable, Hashable, Iterator
from operator import length_hint
from typing import Generic, TypeVar

__all__ = ["Counts", "numbers", "numbers_taken"]

Key = TypeVar("Key", bound=Hashable)

# As far as a running number goes on the wire.
_NUMBERS = range(2**48)


def numbers() -> Iterator[int]:
    """0, 1, 2, ...: each number is given to one thread, since `next` on it is one atomic step."""
    return iter(_NUMBERS)


def numbers_taken(taken: Iterator[int]) -> int:
    """How many numbers `numbers()` has given out."""
    return len(_NUMBERS) - length_hint(taken)


class Counts(Generic[Key]):
    """A count for each key; past `max_keys` a new key is counted as `overflow` of it.

    A `+=` would lose counts between threads, and a lock could be held by the code that a signal
    handler interrupted.
    """

    __slots__ = ("_by_key", "_max_keys", "_overflow")

    def __init__(self, *, max_keys: int, overflow: Callable[[Key], Key]) -> None:
        self._by_key: dict[Key, Iterator[int]] = {}
        self._max_keys = max_keys
        self._overflow = overflow

    def add(self, key: Key) -> None:
        count = self._by_key.get(key)
        if count is None:
            if len(self._by_key) >= self._max_keys:
                key = self._overflow(key)
            count = self._by_key.setdefault(key, numbers())
        next(count)

    def totals(self) -> dict[Key, int]:
        return {key: numbers_taken(count) for key, count in list(self._by_key.items())}
