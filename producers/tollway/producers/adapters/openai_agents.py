"""The OpenAI Agents SDK: its hooks meter a run, and what is attached puts them into every run.

`run_hooks()` is the SDK's own idiom and enough by itself: `Runner.run(agent, ..., hooks=...)`. Then
a model that fails, or a stream that is let go of, is told when the run's context is freed; a tool
that a decision stops inside is an error text for the model, as with any exception of a tool; and a
call is as told by the SDK, without the provider's service tier. Attached, all runs have the hooks
and none of these limits. Realtime and voice sessions have other hooks: they are not metered.
"""

import functools
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.making import Making
from tollway.producers.adapters.openai_agents_runs import current_run, model_call, named, running
from tollway.producers.adapters.openai_agents_usage import ModelStream, response_usage
from tollway.producers.adapters.overriding import wrap_overrides
from tollway.producers.adapters.passing import Refusals, refusal_in
from tollway.producers.adapters.patching import Patches, Wrapper
from tollway.producers.calls import open_call, safely

__all__ = ["attach", "run_hooks"]

Sdk = Any  # the SDK has no types here
Method = Callable[..., Sdk]


def run_hooks(also: object = None, *, model: str = "") -> Sdk:
    """`RunHooks` that meter, and block before a model or a tool is called.

    `also`: hooks of the host, which are called before them. `model`: what `RunConfig(model=...)`
    says, if it does.
    """
    from tollway.producers.adapters.openai_agents_hooks import MeteredHooks

    return MeteredHooks(also, model=model)


def attach() -> Detach:
    """Meters every run, and every model that is asked outside of runs."""
    import agents

    from tollway.producers.adapters.openai_agents_hooks import with_hooks

    patches = Patches()
    patches.wrap(agents.Runner, "run", functools.partial(_awaited_runs, with_hooks))
    for name in ("run_sync", "run_streamed"):
        patches.wrap(agents.Runner, name, functools.partial(_runs, with_hooks))
    models = {"get_response": _answering, "stream_response": _streaming}
    wrap_overrides(patches, agents.Model, models)
    _wrap_tools(patches, functools.partial(_invoking, agents.AgentsException))
    return patches.undo


def _wrap_tools(patches: Patches, invoking: Wrapper) -> None:
    for module, name, wrapper in (
        ("agents.run_internal.tool_execution", "_invoke_function_tool_with_metadata", invoking),
        ("agents.tool", "maybe_invoke_function_tool_failure_error_function", _wording),
    ):
        # They are the SDK's own affair. Where a version has them not, its tools are as with the
        # hooks alone.
        with suppress(ImportError, AttributeError):
            patches.wrap(importlib.import_module(module), name, wrapper)


def _awaited_runs(with_hooks: Callable[..., dict[str, Sdk]], run: Sdk) -> Sdk:
    function = run.__func__

    @functools.wraps(function)
    async def ran(runner: Sdk, /, *args: object, **kwargs: Sdk) -> object:
        with running(kwargs):
            return await function(runner, *args, **with_hooks(kwargs))

    return classmethod(ran)


def _runs(with_hooks: Callable[..., dict[str, Sdk]], run: Sdk) -> Sdk:
    """What starts a task has the run in its context."""
    function = run.__func__

    @functools.wraps(function)
    def ran(runner: Sdk, /, *args: object, **kwargs: Sdk) -> object:
        with running(kwargs):
            return function(runner, *args, **with_hooks(kwargs))

    return classmethod(ran)


def _answering(get_response: Method) -> Method:
    @functools.wraps(get_response)
    async def answered(model: object, *args: object, **kwargs: object) -> object:
        call = model_call(model)
        with Making(call):
            response = await get_response(model, *args, **kwargs)
        with safely():
            call.used(response_usage(response, *named(model)))
        return response

    return answered


def _streaming(stream_response: Method) -> Method:
    @functools.wraps(stream_response)
    async def streamed(model: object, *args: object, **kwargs: object) -> AsyncIterator[object]:
        call = model_call(model)
        # The stream below ends first: where an SDK's client is metered, it has told the call then.
        with ModelStream(call, model) as reading:
            async with AsyncExitStack() as closing:
                events = stream_response(model, *args, **kwargs)
                if hasattr(events, "aclose"):
                    closing.push_async_callback(events.aclose)
                while True:
                    with call.running():
                        try:
                            event = await anext(events)
                        except StopAsyncIteration:
                            return
                    reading.feed(event)
                    yield event

    return streamed


def _invoking(signal: type[Exception], invoke: Method) -> Method:
    """A function tool runs inside of its call. A block in it is no error text for the model."""

    @functools.wraps(invoke)
    async def invoked(*args: object, **kwargs: object) -> object:
        call = None
        with safely():
            run = current_run.get()
            call = None if run is None else run.tool_call(kwargs["context"])
        if call is None:
            return await invoke(*args, **kwargs)
        with Refusals(signal), Making(call):
            result = await invoke(*args, **kwargs)
        if getattr(result, "is_sdk_generated_error", False):
            call.returned(getattr(result, "output", None), status="error")
        return result

    return invoked


def _wording(word_failure: Method) -> Method:
    """What the SDK makes an error text of, for the model to read."""

    @functools.wraps(word_failure)
    async def worded(*args: object, **kwargs: object) -> object:
        error = kwargs.get("error")
        refusal = refusal_in(error) if isinstance(error, BaseException) else None
        if refusal is not None:
            raise refusal
        text = await word_failure(*args, **kwargs)
        call = open_call()
        asked = None if call is None else call.asked
        if call is not None and asked is not None and asked.kind == "tool" and text is not None:
            call.returned(text, status="error")
        return text

    return worded
