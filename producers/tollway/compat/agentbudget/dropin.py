"""`init()` and `teardown()`: one session for a thread or a task, and all clients counted in it."""

import asyncio
import threading
from contextvars import ContextVar
from typing import Final

import msgspec

from tollway.compat.agentbudget.budget import AgentBudget
from tollway.compat.agentbudget.clients import patch_all
from tollway.compat.agentbudget.reports import Report
from tollway.compat.agentbudget.sessions import BudgetSession, Callback
from tollway.producers.adapters.patching import Patches

__all__ = ["get_session", "init", "remaining", "report", "spent", "teardown", "track"]


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A session, who opened it, and what that one saw before."""

    session: BudgetSession
    scope: tuple[str, int]
    before: "_Opened | None"


_current: ContextVar[_Opened | None] = ContextVar("tollway_agentbudget", default=None)


class _Counted:
    """All clients' classes are patched while anybody's session is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions = 0
        self._patches: Patches | None = None

    def begin(self) -> None:
        with self._lock:
            self._sessions += 1
            if self._patches is None:
                self._patches = patch_all(get_session)

    def end(self) -> None:
        with self._lock:
            self._sessions -= 1
            if self._sessions == 0 and self._patches is not None:
                self._patches.undo()
                self._patches = None


_counted: Final = _Counted()


def init(
    budget: str | float | int,
    soft_limit: float = 0.9,
    max_repeated_calls: int = 10,
    loop_window_seconds: float = 60.0,
    on_soft_limit: Callback | None = None,
    on_hard_limit: Callback | None = None,
    on_loop_detected: Callback | None = None,
    webhook_url: str | None = None,
    session_id: str | None = None,
) -> BudgetSession:
    """Opens a session for this thread or task; the one it had before is closed.

    Tasks that are started inside see it too, until they open their own.
    """
    teardown()
    opened = _Opened(
        session=AgentBudget(
            budget,
            soft_limit,
            max_repeated_calls,
            loop_window_seconds,
            on_soft_limit,
            on_hard_limit,
            on_loop_detected,
            webhook_url,
        ).session(session_id),
        scope=_scope(),
        before=_current.get(),
    )
    opened.session.__enter__()
    _current.set(opened)
    _counted.begin()
    return opened.session


def teardown() -> Report | None:
    """Closes this thread's or task's own session; None where it has none."""
    opened = _current.get()
    if opened is None or opened.scope != _scope():
        return None
    opened.session.__exit__(None, None, None)
    _current.set(opened.before)
    _counted.end()
    return opened.session.report()


def get_session() -> BudgetSession | None:
    opened = _current.get()
    return None if opened is None else opened.session


def spent() -> float:
    session = get_session()
    return 0.0 if session is None else session.spent


def remaining() -> float:
    session = get_session()
    return 0.0 if session is None else session.remaining


def report() -> Report | None:
    session = get_session()
    return None if session is None else session.report()


def track(result: object = None, cost: float = 0.0, tool_name: str | None = None) -> object:
    """Counts a tool's call. Raises `RuntimeError` before `init`."""
    session = get_session()
    if session is None:
        raise RuntimeError("no session is open here; call init() before track()")
    return session.track(result, cost, tool_name)


def _scope() -> tuple[str, int]:
    """Who runs: a task, else a thread."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return ("thread", threading.get_ident()) if task is None else ("task", id(task))
