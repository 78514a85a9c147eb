"""Attribution that follows the flow of control: `attribute(...)` for threads, tasks, functions."""

from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import ParamSpec, Protocol, TypedDict, TypeVar, Unpack

from tollway.contract.subjects import DIMENSIONS
from tollway.contract.usage import UsageEvent
from tollway.producers.carrying import carried

__all__ = [
    "Allowed",
    "Attribution",
    "Fields",
    "RunBooks",
    "at",
    "attribute",
    "attributed",
    "carrying",
    "explicit",
    "identified",
    "merge",
    "place",
    "run_books",
]

Fields = dict[str, object]
_IDENTIFYING = ("workspace", *DIMENSIONS)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Attributed(TypedDict, total=False):
    """What `attribute` takes; None says nothing."""

    workspace: str | None
    agent: str | None
    session: str | None
    parent_session: str | None
    connection: str | None
    user: str | None
    customer: str | None
    task: str | None
    tags: dict[str, str] | None
    provider: str | None
    model: str | None
    tool: str | None


class RunBooks(Protocol):
    """The books of the session that runs here: what is recorded in it is booked in them."""

    session: str

    def book(self, event: UsageEvent) -> object: ...

    def check(self) -> None:
        """Raises `CallBlocked` where the session must not go on."""


def merge(under: Fields, over: Fields) -> Fields:
    """`over` wins field by field; tags are merged tag by tag."""
    merged = {**under, **over}
    below, above = under.get("tags"), over.get("tags")
    if isinstance(below, dict) and isinstance(above, dict):
        merged["tags"] = {**below, **above}
    return merged


# Of dimensions that were asked for: the edition of decisions under which nothing concerned them.
Allowed = dict[tuple[tuple[str, object], ...], object]


class _Frame:
    """What is attributed inside one `attribute(...)`: its own fields over those around it."""

    __slots__ = ("_over", "allowed", "books", "fields", "owner", "parent")

    def __init__(
        self, fields: Fields, parent: "_Frame | None", owner: object, books: RunBooks | None
    ) -> None:
        self.fields = fields
        self.parent = parent
        self.owner = owner
        self.books = books
        # What was found to be allowed in here: see `process.check`.
        self.allowed: Allowed | None = None
        self._over: tuple[Fields, Fields, Fields] | None = None

    def over(self, defaults: Fields) -> tuple[Fields, Fields, Fields]:
        """The process's defaults, the frame's fields over them, and of these the identifying ones;
        computed once."""
        over = self._over
        if over is None or over[0] is not defaults:
            merged = merge(defaults, self.fields)
            identifying = {name: merged[name] for name in _IDENTIFYING if name in merged}
            over = self._over = (defaults, merged, identifying)
        return over


_frame: ContextVar[_Frame | None] = ContextVar("tollway_attribution", default=None)


def attributed(defaults: Fields) -> Fields:
    """What the code that runs now is attributed to. The answer is shared: never change it."""
    frame = _frame.get()
    return defaults if frame is None else frame.over(defaults)[1]


def explicit() -> Fields:
    """What the host attributed around the code that runs now, without defaults. Shared as well."""
    frame = _frame.get()
    return _NOTHING if frame is None else frame.fields


_NOTHING: Fields = {}


def carrying(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function, attributed to whoever asks for it now, in whatever thread it runs."""
    frame = _frame.get()
    if frame is None:
        return function

    def carried_over(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return at(frame, function, *args, **kwargs)

    return carried_over


def run_books() -> RunBooks | None:
    """The books of the innermost session around the code that runs now."""
    frame = _frame.get()
    return None if frame is None else frame.books


def place() -> "_Frame | None":
    """Where the code that runs now is: for `at`, and where `check` keeps what it was allowed."""
    return _frame.get()


def at(
    where: "_Frame | None",
    function: Callable[Arguments, Result],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Result:
    """Runs the function attributed as that place was, wherever this is."""
    before = _frame.get()
    if before is where:
        return function(*args, **kwargs)
    _frame.set(where)
    try:
        return function(*args, **kwargs)
    finally:
        _frame.set(before)


def identified(defaults: Fields) -> Fields:
    """Of that, what a decision can be about, and the workspace. Shared as well."""
    frame = _frame.get()
    return defaults if frame is None else frame.over(defaults)[2]


class Attribution:
    """Made by `attribute(...)`: use it in a ``with`` or as a decorator, as often as you like."""

    __slots__ = ("_books", "_fields")

    def __init__(self, fields: Fields, books: RunBooks | None = None) -> None:
        self._fields = fields
        self._books = books

    def __enter__(self) -> None:
        parent = _frame.get()
        if parent is None:
            _frame.set(_Frame(self._fields, None, self, self._books))
            return
        fields = merge(parent.fields, self._fields)
        _frame.set(_Frame(fields, parent, self, self._books or parent.books))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Not a token: one object may be entered by many tasks at a time, each with its own frames.
        frame = _frame.get()
        while frame is not None and frame.owner is not self:
            frame = frame.parent
        if frame is not None:
            _frame.set(frame.parent)

    def __call__(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Decorates functions, coroutine functions and generators: see `carried`."""
        return carried(function, self)


def attribute(**fields: Unpack[Attributed]) -> Attribution:
    """Who pays for what is recorded and checked inside. Nested ones merge; the inner wins."""
    unknown = fields.keys() - Attributed.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"attribute() does not know {', '.join(sorted(unknown))};"
            f" it knows {', '.join(Attributed.__annotations__)}"
        )
    return Attribution({name: value for name, value in fields.items() if value is not None})
