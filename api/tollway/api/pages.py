"""Lists by pages: newest first, with a cursor that stays true while rows arrive."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from tollway.api.ports import Row, Store
from tollway.api.problems import Problem
from tollway.api.rows import as_ms

__all__ = ["DEFAULT_PAGE", "MAX_PAGE", "Listing", "Where", "page"]

DEFAULT_PAGE = 100
MAX_PAGE = 1000


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last row that was shown."""

    at_ms: int
    id: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A table with an `id`, the moment it is ordered by, and how a row is written in JSON."""

    table: str
    at: str
    document: Callable[[Row], dict[str, object]]


@dataclass
class Where:
    """Conditions in SQL, and the values of their parameters."""

    conditions: list[str] = field(default_factory=list)
    parameters: dict[str, str | int | Sequence[str]] = field(default_factory=dict)

    def add(self, condition: str, **parameters: str | int) -> None:
        self.conditions.append(condition)
        self.parameters.update(parameters)

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def page(
    store: Store, listing: Listing, where: Where, *, limit: int, cursor: str | None
) -> dict[str, object]:
    if cursor is not None:
        last = _decoded(cursor)
        where.add(
            f"({listing.at}, id)"
            " < (fromUnixTimestamp64Milli({cursor_ms:Int64}, 'UTC'), {cursor_id:String})",
            cursor_ms=last.at_ms,
            cursor_id=last.id,
        )
    rows = store.query(
        f"SELECT * FROM {listing.table} FINAL{where}"
        f" ORDER BY {listing.at} DESC, id DESC LIMIT {{row_limit:UInt32}}",
        {**where.parameters, "row_limit": limit + 1},
    )
    shown = rows[:limit]
    more = len(rows) > limit
    return {
        "rows": [listing.document(row) for row in shown],
        "next_cursor": _encoded(shown[-1], listing) if more else None,
    }


def _encoded(row: Row, listing: Listing) -> str:
    cursor = _Cursor(as_ms(row[listing.at]), str(row["id"]))
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _decoded(text: str) -> _Cursor:
    try:
        return msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Cursor)
    except ValueError:
        raise Problem(
            422, "malformed-cursor", "cursor is not a next_cursor of this list; leave it out"
        ) from None
