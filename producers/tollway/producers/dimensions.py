"""What a call can be about, as `check` and `on_decision` take it."""

from collections.abc import Iterable
from typing import Final, TypedDict

from tollway.contract.subjects import DIMENSIONS

__all__ = ["Dimensions", "refuse_unknown"]

_KNOWN: Final = frozenset(DIMENSIONS)


class Dimensions(TypedDict, total=False):
    """What a call can be about; None says nothing."""

    agent: str | None
    session: str | None
    connection: str | None
    user: str | None
    customer: str | None
    provider: str | None
    model: str | None
    tool: str | None


def refuse_unknown(names: Iterable[str], asked: str) -> None:
    """Raises `TypeError` where `asked`, a function, was given a name that is no dimension."""
    if not _KNOWN.issuperset(names):
        raise TypeError(f"{asked}() knows the dimensions {', '.join(DIMENSIONS)} only")
