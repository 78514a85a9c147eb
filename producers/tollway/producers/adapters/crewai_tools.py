"""CrewAI's tools between its hooks, and what CrewAI knows of whoever calls something."""

from contextvars import ContextVar
from typing import Any, Final

from tollway.producers.adapters.passing import passing
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, begin
from tollway.producers.errors import CallBlocked

__all__ = ["FRAMEWORK", "after_tool", "before_tool", "found_of", "note_error"]

FRAMEWORK: Final = "crewai"
# What a tool is said to have given that a hook of the host has not let run.
_NOT_RUN: Final = "Tool execution blocked by hook"
# The framework's own objects: it is not there when this is type-checked.
Framework = Any


def found_of(agent: Framework, task: Framework, crew: Framework = None) -> Fields:
    crew = crew or getattr(agent, "crew", None)
    return {
        "agent": str(getattr(agent, "role", None) or "").strip(),
        "session": str(getattr(crew, "id", None) or ""),
        # Not its description: that is a prompt.
        "task": getattr(task, "name", None),
    }


class _Tool:
    """A tool between its two hooks. `error`: what it raised, as the event bus was told."""

    def __init__(self, arguments: object, around: "_Tool | None") -> None:
        self.arguments = arguments
        self.around = around
        self.call: Call | None = None
        self.refusal: CallBlocked | None = None
        self.error: BaseException | None = None


_tools: ContextVar[_Tool | None] = ContextVar("tollway_crewai_tool", default=None)


def note_error(error: BaseException) -> None:
    """The tool that runs here has raised: its hook is told only a text."""
    tool = _tools.get()
    if tool is not None:
        tool.error = error


def before_tool(context: Framework) -> bool | None:
    """A hook: False keeps the tool from running."""
    tool = _Tool(context.tool_input, _tools.get())
    _tools.set(tool)
    try:
        tool.call = begin(lambda: _asked_tool(context))
    except CallBlocked as refusal:
        # Raised here, it would become a text for the model; after the tool CrewAI lets it through.
        tool.refusal = refusal
        return False
    tool.call.enclose()
    return None


def after_tool(context: Framework) -> None:
    """A hook, called whatever became of the tool."""
    from crewai.hooks.dispatch import HookAborted

    tool = _tools.get()
    while tool is not None and tool.arguments is not context.tool_input:
        # One whose second hook never came.
        tool = tool.around
    if tool is None:
        return
    _tools.set(tool.around)
    if tool.refusal is not None:
        raise passing(tool.refusal, HookAborted)
    if tool.call is None:
        return
    if tool.error is not None:
        tool.call.failed(tool.error)
    elif str(context.raw_tool_result).startswith(_NOT_RUN):
        tool.call.done = True
    else:
        tool.call.returned(context.raw_tool_result)


def _asked_tool(context: Framework) -> Asked:
    return Asked(
        kind="tool",
        framework=FRAMEWORK,
        tool=context.tool_name,
        arguments=dict(context.tool_input),
        found=found_of(context.agent, context.task, context.crew),
    )
