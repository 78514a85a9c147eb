"""A capability of Pydantic AI: asked before each call of a model or a tool, told after it.

Imports the framework: whoever imports this has it.
"""

import copy
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, SkipToolExecution
from pydantic_ai.messages import ToolReturn
from pydantic_ai.models import Model
from pydantic_ai.models.wrapper import WrapperModel

from tollway.producers.adapters.making import Making
from tollway.producers.adapters.pydantic_ai_usage import provider_of, response_usage
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, begin, safely
from tollway.producers.responses import ResponseUsage

__all__ = ["Metering"]

FRAMEWORK: Final = "pydantic_ai"
Framework = Any  # it has no types here
Handler = Callable[[Framework], Awaitable[Framework]]

# The run whose tool is at work: an agent that the tool runs is a child of it.
_run_id: ContextVar[str] = ContextVar("tollway_pydantic_ai_run", default="")


class Metering(AbstractCapability):  # type: ignore[misc]  # untyped where it is not installed
    """Meters the runs of its agent, and raises `CallBlocked` out of them before a call is made."""

    def __init__(self, parent_session: str = "") -> None:
        self._parent_session = parent_session

    @classmethod
    def get_serialization_name(cls) -> str:
        return "TollwayMetering"

    async def for_run(self, ctx: Framework) -> "Metering":
        return Metering(_run_id.get())

    async def wrap_model_request(
        self, ctx: Framework, *, request_context: Framework, handler: Handler
    ) -> Framework:
        call = begin(lambda: self._asked(ctx, request_context))
        asked, enclosed = _enclosed(request_context, call)
        with Making(call, lambda: None if enclosed is None else enclosed.known()):
            response = await handler(asked)
        with safely():
            usage = response_usage(response)
            if response.state in ("incomplete", "interrupted"):
                call.aborted(usage)
            else:
                call.used(usage)
        return response

    async def wrap_tool_execute(
        self,
        ctx: Framework,
        *,
        call: Framework,
        tool_def: Framework,
        args: Framework,
        handler: Handler,
    ) -> Framework:
        tool = begin(
            lambda: Asked(
                kind="tool",
                framework=FRAMEWORK,
                tool=str(call.tool_name),
                arguments=call.args_as_dict(),
                found=self._found(ctx),
            )
        )
        with Making(tool), _at_work(getattr(ctx, "run_id", None)):
            try:
                result = await handler(args)
            except (ApprovalRequired, CallDeferred, SkipToolExecution):
                # It did not run: somebody else answers, now or later.
                tool.done = True
                raise
        tool.returned(result.return_value if isinstance(result, ToolReturn) else result)
        return result

    def _asked(self, ctx: Framework, request: Framework) -> Asked:
        return Asked(
            framework=FRAMEWORK,
            provider=provider_of(request.model.system),
            model=str(request.model.model_name),
            prompt=[_plain(message) for message in request.messages],
            found=self._found(ctx),
        )

    def _found(self, ctx: Framework) -> Fields:
        return {
            "agent": None if ctx.agent is None else ctx.agent.name,
            "session": ctx.run_id,
            "parent_session": self._parent_session,
        }


class _Enclosed(WrapperModel):  # type: ignore[misc]  # untyped where it is not installed
    """A model whose streams are opened inside of a call: they are, but in the task that reads them.

    What is read of them runs outside of it: the host may ask another model meanwhile.
    """

    def __init__(self, wrapped: Framework, call: Call) -> None:
        super().__init__(wrapped)
        self._call = call
        self._stream: Framework = None

    @asynccontextmanager
    async def request_stream(
        self, *args: Framework, **kwargs: Framework
    ) -> AsyncGenerator[Framework]:
        async with AsyncExitStack() as opened:
            with self._call.running():
                self._stream = await opened.enter_async_context(
                    self.wrapped.request_stream(*args, **kwargs)
                )
            yield self._stream

    def known(self) -> ResponseUsage | None:
        """What its last stream has told by now."""
        return None if self._stream is None else response_usage(self._stream.get())


def _plain(message: Framework) -> list[object]:
    """What it says, without the moment and the ids, which would make each prompt another."""
    return [
        [getattr(part, name, None) for name in ("part_kind", "content", "tool_name", "args")]
        for part in message.parts
    ]


def _enclosed(request: Framework, call: Call) -> tuple[Framework, _Enclosed | None]:
    """The request, of a model that opens its streams inside of the call, if it has any to open."""
    with safely():
        model = request.model
        if request.streaming and type(model).request_stream is not Model.request_stream:
            enclosed = _Enclosed(model, call)
            changed = copy.copy(request)
            changed.model = enclosed
            return changed, enclosed
    return request, None


@contextmanager
def _at_work(run_id: str | None) -> Iterator[None]:
    before = _run_id.get()
    _run_id.set(run_id or "")
    try:
        yield
    finally:
        _run_id.set(before)
