"""Open runs of LangChain and LangGraph: where in the tree each is, and the calls that they make."""

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from tollway.producers.adapters.passing import passing
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, begin, safely
from tollway.producers.errors import CallBlocked

__all__ = ["MAX_OPEN_RUNS", "Metadata", "Place", "Runs"]

# Runs whose end nobody tells are forgotten, the oldest first.
MAX_OPEN_RUNS: Final = 10_000
_MAX_NAME: Final = 512
# Where LangGraph and LangSmith look for the conversation that a run belongs to.
_CONVERSATIONS: Final = ("thread_id", "session_id", "conversation_id")
_UNNAMED_GRAPH: Final = "LangGraph"

Metadata = Mapping[str, Any]  # whatever the host and its framework put there
Kept = TypeVar("Kept")


class Place(NamedTuple):
    """Where in the tree of runs a run is."""

    # The outermost run: that is what a run of an agent is, where nobody names a conversation.
    root: str
    agent: str
    # How many parts of a checkpoint's namespace are outside of the innermost tool.
    outside: int = 0
    is_tool: bool = False


class _Open(NamedTuple):
    call: Call
    # Entered while what runs in this context is a part of the call.
    inside: list[AbstractContextManager[Call]]


class Runs:
    """Any thread. LangChain tells of a run by its id, from whatever context it is in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[UUID, Place] = {}
        self._calls: dict[UUID, _Open] = {}

    def enter(
        self, run_id: UUID, parent: UUID | None, name: str, metadata: Metadata, *, is_tool: bool
    ) -> None:
        """A chain, graph or tool begins."""
        above = None if parent is None else self._places.get(parent)
        agent = "" if above is None else above.agent
        if not is_tool and (above is None or above.is_tool):
            # The outermost graph of all, or of a tool: further in, nodes look just like graphs.
            agent = _graph_name(name, metadata) or agent
        place = Place(
            root=str(run_id) if above is None else above.root,
            agent=agent,
            outside=len(_parts(metadata)) if is_tool else 0 if above is None else above.outside,
            is_tool=is_tool,
        )
        self._keep(self._places, run_id, place)

    def leave(self, run_id: UUID) -> None:
        self._places.pop(run_id, None)

    def found(self, parent: UUID | None, metadata: Metadata) -> Fields:
        """What the framework knows of a call made by this run: agent, conversation, node."""
        above = None if parent is None else self._places.get(parent)
        node = _text(metadata.get("langgraph_node"))
        conversation = next(
            (_text(metadata[name]) for name in _CONVERSATIONS if name in metadata), ""
        )
        return {
            "agent": _agent(above, metadata),
            "session": conversation or (above.root if above is not None else ""),
            "tags": {"langgraph_node": node} if node else {},
        }

    def begin(self, run_id: UUID, describe: Callable[[], Asked], *, alone: bool) -> None:
        """Raises `CallBlocked`. `alone`: no other call begins in this context before its end."""
        if run_id in self._calls:
            # A second handler on the same run.
            return
        try:
            call = begin(describe)
        except CallBlocked as blocked:
            raise _through_langgraph(blocked) from None
        with safely():
            opened = _Open(call, [])
            if alone:
                running = call.running()
                running.__enter__()
                opened.inside.append(running)
            self._keep(self._calls, run_id, opened)
            begun = _begun.get()
            if begun is not None:
                begun.append(run_id)

    def outside(self, run_id: UUID) -> None:
        """From now on what runs in this context is the host's own again: it is given chunks."""
        opened = self._calls.get(run_id)
        if opened is not None and opened.inside:
            opened.inside.pop().__exit__(None, None, None)

    def ended(self, run_id: UUID) -> Call | None:
        """The run's call, for the one who asks first."""
        self.outside(run_id)
        opened = self._calls.pop(run_id, None)
        return None if opened is None else opened.call

    def _keep(self, where: dict[UUID, Kept], run_id: UUID, what: Kept) -> None:
        with self._lock:
            where[run_id] = what
            if len(where) > MAX_OPEN_RUNS:
                del where[next(iter(where))]


# The runs that began inside of the coroutine that may be cancelled.
_begun: ContextVar[list[UUID] | None] = ContextVar("tollway_langchain_begun", default=None)


class Cancellation:
    """Around a coroutine of LangChain that tells nobody when it is cancelled."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._begun: list[UUID] = []

    def __enter__(self) -> None:
        self._token = _begun.set(self._begun)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        with safely():
            _begun.reset(self._token)
            for run_id in self._begun if error is not None else ():
                call = self._runs.ended(run_id)
                if call is not None and error is not None:
                    call.failed(error)


def _agent(above: Place | None, metadata: Metadata) -> str:
    """Whom `create_agent` names, else the graph around it that is a node, else the outermost."""
    named = _text(metadata.get("lc_agent_name"))
    if named:
        return named
    parts = _parts(metadata)[0 if above is None else above.outside :]
    if len(parts) > 1:
        return _text(parts[-2].partition(":")[0])
    return "" if above is None else above.agent


def _parts(metadata: Metadata) -> list[str]:
    """Of ``researcher:<task>|model:<task>``: the nodes on the way from the outermost graph."""
    namespace = metadata.get("langgraph_checkpoint_ns")
    return namespace.split("|") if isinstance(namespace, str) and namespace else []


def _graph_name(name: str, metadata: Metadata) -> str:
    if "ls_integration" not in metadata or name == _UNNAMED_GRAPH or name.startswith("Runnable"):
        return ""
    return _text(name)


def _text(value: object) -> str:
    return "" if value is None else str(value)[:_MAX_NAME]


def _through_langgraph(blocked: CallBlocked) -> CallBlocked:
    """LangGraph retries a node's exceptions, and shows a tool's to the model, but not its own."""
    errors: Any = sys.modules.get("langgraph.errors")
    return blocked if errors is None else passing(blocked, errors.GraphBubbleUp)
