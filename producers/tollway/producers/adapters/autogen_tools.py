"""AutoGen's tools: asked for before they run, wherever they are called from."""

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final

from tollway.producers.adapters.autogen_agents import FRAMEWORK, handled_by, hold
from tollway.producers.adapters.frames import Within, stepped
from tollway.producers.adapters.making import Making
from tollway.producers.adapters.passing import refusal_in
from tollway.producers.adapters.patching import Wrapper
from tollway.producers.calls import Asked, Call, begin, safely
from tollway.producers.errors import CallBlocked
from tollway.producers.responses import ResponseUsage

__all__ = ["STREAM_TOOL", "TOOL", "WORKBENCH", "Ending"]

# The framework's own objects: it is not there when this is type-checked.
Framework = Any
Chunks = AsyncGenerator[Any, None]


class Ending:
    """Around a stream: whatever it ends by before its result, it is counted."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        """Begun already."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._call.used(ResponseUsage(usage_missing=True))
        else:
            # GeneratorExit is a host that reads no further.
            self._call.failed(error)


def _calling_tool(call_tool: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @functools.wraps(call_tool)
    async def called(bench: Framework, name: str, *args: object, **kwargs: object) -> object:
        try:
            call = begin(lambda: _asked_tool(name, args[0] if args else kwargs.get("arguments")))
        except CallBlocked as refusal:
            if hold(refusal):
                return _refused(name, refusal)
            raise
        with Making(call):
            result: Framework = await call_tool(bench, name, *args, **kwargs)
        with safely():
            _returned(call, result)
        return result

    return called


def _streaming_tool(call_tool_stream: Callable[..., Chunks]) -> Callable[..., Chunks]:
    @functools.wraps(call_tool_stream)
    async def called(bench: Framework, name: str, *args: object, **kwargs: object) -> Chunks:
        try:
            call = begin(lambda: _asked_tool(name, args[0] if args else kwargs.get("arguments")))
        except CallBlocked as refusal:
            if not hold(refusal):
                raise
            yield _refused(name, refusal)
            return
        steps = stepped(call_tool_stream(bench, name, *args, **kwargs), Within(call))
        with Ending(call):
            async with aclosing(steps):
                async for each in steps:
                    if hasattr(each, "is_error"):
                        with safely():
                            _returned(call, each)
                    yield each

    return called


def _running_tool(run_json: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @functools.wraps(run_json)
    async def ran(tool: Framework, args: object, *rest: object, **kwargs: object) -> object:
        try:
            call = begin(lambda: _asked_tool(tool.name, args))
        except CallBlocked as refusal:
            if hold(refusal):
                return str(refusal)
            raise
        with _Telling(), Making(call):
            result: object = await run_json(tool, args, *rest, **kwargs)
        with safely():
            call.returned(result)
        return result

    return ran


def _streaming_run(run_json_stream: Callable[..., Chunks]) -> Callable[..., Chunks]:
    @functools.wraps(run_json_stream)
    async def ran(tool: Framework, args: object, *rest: object, **kwargs: object) -> Chunks:
        try:
            call = begin(lambda: _asked_tool(tool.name, args))
        except CallBlocked as refusal:
            if not hold(refusal):
                raise
            yield str(refusal)
            return
        last: object = None
        steps = stepped(run_json_stream(tool, args, *rest, **kwargs), Within(call))
        with _Telling(), Ending(call):
            async with aclosing(steps):
                async for last in steps:
                    yield last
            # What comes last is the result.
            call.returned(last)

    return ran


class _Telling:
    """A tool that was an agent and was refused: its workbench would make a text of it."""

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        refusal = None if error is None else refusal_in(error)
        if refusal is not None:
            hold(refusal)


def _asked_tool(name: str, arguments: object) -> Asked:
    return Asked(
        kind="tool", framework=FRAMEWORK, tool=name, arguments=arguments, found=handled_by()
    )


def _returned(call: Call, result: Framework) -> None:
    if result.is_error:
        # Its text stays where it is: it may quote what the tool was given.
        call.failed(RuntimeError())
    else:
        call.returned(result.to_text())


def _refused(name: str, refusal: CallBlocked) -> Framework:
    from autogen_core.tools import TextResultContent, ToolResult

    return ToolResult(name=name, result=[TextResultContent(content=str(refusal))], is_error=True)


TOOL: Final[dict[str, Wrapper]] = {"run_json": _running_tool}
STREAM_TOOL: Final[dict[str, Wrapper]] = {"run_json_stream": _streaming_run}
WORKBENCH: Final[dict[str, Wrapper]] = {
    "call_tool": _calling_tool,
    "call_tool_stream": _streaming_tool,
}
