"""Runs of the OpenAI Agents SDK: for which session they are, and which calls they have open."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from weakref import WeakKeyDictionary

from tollway.producers.adapters.hosts import provider_at
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, begin

__all__ = ["FRAMEWORK", "Opened", "Run", "current_run", "model_call", "named", "running"]

FRAMEWORK: Final = "openai_agents"


class Opened:
    """A call that a hook has begun. Where the SDK drops a run no hook is told: it was aborted.

    `watched`: its model is, so the call that nobody took was never made.
    """

    __slots__ = ("call", "taken", "watched")

    def __init__(self, call: Call, *, watched: bool) -> None:
        self.call = call
        self.taken = False
        self.watched = watched

    def __del__(self) -> None:
        if self.taken or not self.watched:
            self.call.aborted()


class Run:
    """One run, from `Runner.run` to its end. `options`: what that was given, where it is known."""

    __slots__ = ("_agent", "_model", "_options", "_tools", "session")

    def __init__(self, options: Mapping[str, object] | None = None, session: str = "") -> None:
        self._options: Mapping[str, object] = options or {}
        # Of a run that knows no conversation and has no trace.
        self.session = session
        self._tools: WeakKeyDictionary[object, list[Opened]] = WeakKeyDictionary()
        self._agent: Fields = {}
        self._model: Opened | None = None

    def config(self, name: str) -> object:
        """What its `RunConfig` says; None where that is not known."""
        config = self._options.get("run_config")
        return config.get(name) if isinstance(config, dict) else getattr(config, name, None)

    def conversation(self) -> object:
        """What several runs may have in common, if the host has said so."""
        return (
            self.config("group_id")
            or self._options.get("conversation_id")
            or getattr(self._options.get("session"), "session_id", None)
        )

    def open_model(self, opened: Opened, agent: Fields) -> None:
        self._agent = agent
        self._model = opened

    @property
    def model(self) -> Opened | None:
        """The call of a model that a hook has begun last."""
        return self._model

    def take_model(self) -> Call | None:
        """The call that is about to be made, once."""
        opened = self._model
        if opened is None or opened.taken or opened.call.done:
            return None
        opened.taken = True
        return opened.call

    def open_tool(self, context: object, call: Call) -> None:
        """A function has a context of its own; shells and computers have the run's in common."""
        held = self._tools.setdefault(context, [])
        if held and hasattr(context, "tool_call_id"):
            # Hooks of the host's have ours inside: it is the same call.
            call.done = True
        else:
            held.append(Opened(call, watched=False))

    def tool_call(self, context: object) -> Call | None:
        held = self._tools.get(context)
        return held[0].call if held else None

    def close_tool(self, context: object, tool: str) -> Opened | None:
        """The first that is open of this name: what runs at a time ends in any order.

        To be held until its call has ended.
        """
        for opened in self._tools.get(context, ()):
            if opened.call.asked is not None and opened.call.asked.tool == tool:
                self._tools[context].remove(opened)
                return opened
        return None

    @property
    def agent(self) -> Fields:
        """Whose calls these are now: a handoff changes it."""
        return self._agent


current_run: ContextVar[Run | None] = ContextVar("tollway_openai_agents_run", default=None)


@contextmanager
def running(options: Mapping[str, object]) -> Iterator[Run]:
    """A run inside of another, an agent that is a tool, is for the same session."""
    around = current_run.get()
    run = Run(options, uuid.uuid4().hex if around is None else around.session)
    current_run.set(run)
    try:
        yield run
    finally:
        current_run.set(around)


def model_call(model: object) -> Call:
    """The call that a hook began for this model, else one of its own: a retry, or no run at all."""
    run = current_run.get()
    call = None if run is None else run.take_model()
    if call is not None:
        return call
    return begin(lambda: _asked(model, run))


def _asked(model: object, run: Run | None) -> Asked:
    provider, name = named(model)
    found = {} if run is None else run.agent
    return Asked(framework=FRAMEWORK, provider=provider, model=name, found=found)


def named(model: object) -> tuple[str, str]:
    """The provider and the name of a `Model`, or of what names one."""
    name = model if isinstance(model, str) else str(getattr(model, "model", "") or "")
    way, _, rest = name.partition("/")
    if isinstance(model, str):
        if way not in _ROUTERS:
            # The SDK's own prefix; any other is a part of the name.
            return _OPENAI, rest if way == _OPENAI and rest else name
        name = rest
    elif type(model).__name__ not in _ROUTED:
        return _asked_at(getattr(model, "_client", None)), name
    provider, _, routed = name.partition("/")
    return (provider, routed) if routed else ("", name)


def _asked_at(client: object) -> str:
    url = getattr(client, "base_url", None)
    return provider_at(getattr(url, "host", ""), getattr(url, "port", None)) or _OPENAI


_OPENAI: Final = "openai"
# Libraries that the SDK asks other providers by, whose names of models begin with the provider.
_ROUTERS: Final = frozenset({"litellm", "any-llm"})
_ROUTED: Final = frozenset({"LitellmModel", "AnyLLMModel"})
