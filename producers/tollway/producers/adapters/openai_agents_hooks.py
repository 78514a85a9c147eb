"""Hooks of the OpenAI Agents SDK: asked before each call of a model or a tool, told after it.

Imports the SDK: whoever imports this has it.
"""

import json
from typing import Any, Final
from weakref import WeakKeyDictionary

from agents import AgentsException, RunHooks, get_current_trace
from agents.lifecycle import RunHooksBase
from agents.models.default_models import get_default_model

from tollway.producers.adapters.openai_agents_runs import (
    FRAMEWORK,
    Opened,
    Run,
    current_run,
    named,
)
from tollway.producers.adapters.openai_agents_usage import response_usage
from tollway.producers.adapters.passing import passing
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, begin, safely
from tollway.producers.errors import CallBlocked

__all__ = ["MeteredHooks", "with_hooks"]

_OURS: Final = frozenset({"on_llm_start", "on_llm_end", "on_tool_start", "on_tool_end"})
# Those that a later version may have, too.
_THEIRS: Final = [
    name for name in dir(RunHooksBase) if name.startswith("on_") and name not in _OURS
]
_NO_TRACE: Final = "no-op"
# What the SDK hands to hooks; it has no types here.
Sdk = Any


class MeteredHooks(RunHooks):  # type: ignore[misc]  # untyped where the SDK is not installed
    """Hooks that meter and block. The host's own, if it has any, are called before them.

    `model`: what `RunConfig(model=...)` says, which hooks alone are not told. An attached adapter
    is, and needs it not.
    """

    def __init__(self, also: RunHooksBase | None = None, *, model: str = "") -> None:
        self._also: Sdk = RunHooks() if also is None else also
        self._model = model
        self._runs: WeakKeyDictionary[object, Run] = WeakKeyDictionary()
        for name in _THEIRS:
            setattr(self, name, getattr(self._also, name))

    async def on_llm_start(self, context: Sdk, agent: Sdk, system: Sdk, items: Sdk) -> None:
        await self._also.on_llm_start(context, agent, system, items)
        run, found = self._known(context, agent)
        call = begin(lambda: self._asked(run, agent, [system, items], found))
        run.open_model(Opened(call, watched=run is current_run.get()), found)

    async def on_llm_end(self, context: Sdk, agent: Sdk, response: Sdk) -> None:
        with safely():
            opened = self._run(context).model
            asked = None if opened is None or opened.call.done else opened.call.asked
            if opened is not None and asked is not None:
                opened.call.used(response_usage(response, asked.provider, asked.model))
        await self._also.on_llm_end(context, agent, response)

    async def on_tool_start(self, context: Sdk, agent: Sdk, tool: Sdk) -> None:
        await self._also.on_tool_start(context, agent, tool)
        run, found = self._known(context, agent)
        try:
            call = begin(
                lambda: Asked(
                    kind="tool",
                    framework=FRAMEWORK,
                    tool=str(tool.name),
                    arguments=_arguments(context),
                    found=found,
                )
            )
        except CallBlocked as blocked:
            # Others the SDK wraps in an error of its own.
            raise passing(blocked, AgentsException) from blocked
        with safely():
            run.open_tool(context, call)

    async def on_tool_end(self, context: Sdk, agent: Sdk, tool: Sdk, result: Sdk) -> None:
        with safely():
            opened = self._run(context).close_tool(context, str(tool.name))
            if opened is not None:
                opened.call.returned(result)
        await self._also.on_tool_end(context, agent, tool, result)

    def _known(self, context: object, agent: Sdk) -> tuple[Run, Fields]:
        run, found = Run(), Fields()
        with safely():
            run = self._run(context)
            found = _found(agent, run)
        return run, found

    def _run(self, context: object) -> Run:
        run = current_run.get()
        if run is None:
            # Nobody is attached: a run is what has this context.
            run = self._runs.get(context)
        if run is None:
            run = self._runs[context] = Run()
        return run

    def _asked(self, run: Run, agent: Sdk, prompt: list[object], found: Fields) -> Asked:
        model = run.config("model") or self._model or agent.model or get_default_model()
        provider, name = named(model)
        return Asked(
            framework=FRAMEWORK,
            provider=provider,
            model=name,
            prompt=prompt,
            found=found,
        )


def with_hooks(arguments: dict[str, Sdk]) -> dict[str, Sdk]:
    """The arguments of a run with metering hooks among them. What are no hooks the SDK refuses."""
    hooks = arguments.get("hooks")
    if hooks is None or (isinstance(hooks, RunHooksBase) and not isinstance(hooks, MeteredHooks)):
        return {**arguments, "hooks": MeteredHooks(hooks)}
    return arguments


def _found(agent: Sdk, run: Run) -> Fields:
    """A conversation of several runs is one session; else a trace is, which agents share."""
    trace: Sdk = get_current_trace()
    trace_id = getattr(trace, "trace_id", None)
    session = (
        run.conversation()
        or getattr(trace, "group_id", None)
        or (trace_id if trace_id != _NO_TRACE else None)
        or run.session
    )
    return {"agent": str(agent.name), "session": session}


def _arguments(context: object) -> object:
    """As the model wrote them; other tools than functions have none here."""
    written = getattr(context, "tool_arguments", None)
    try:
        return json.loads(written) if isinstance(written, str) else None
    except ValueError:
        return written
