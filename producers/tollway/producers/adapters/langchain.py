"""LangChain and LangGraph, by a callback handler that can refuse: for one call, or the process.

    graph.invoke(question, config={"callbacks": [callback_handler()]})

`meter.instrument("langchain")` puts it on every run of the process. It is synchronous and runs in
line: LangChain swallows what an asynchronous one raises. Models and tools are metered; retrievers
and embeddings have no usage in their callbacks: the provider's own adapter meters the latter.
"""

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.langchain_runs import Cancellation, Metadata, Runs
from tollway.producers.adapters.langchain_usage import (
    is_cached,
    partial_usage,
    provider_named,
    result_usage,
)
from tollway.producers.adapters.patching import Patches
from tollway.producers.adapters.stainless_reading import refused
from tollway.producers.calls import Asked, Call, safely

__all__ = ["attach", "callback_handler"]

# One for all handlers: a run that two of them see is one run.
_runs: Final = Runs()


def callback_handler() -> Any:  # noqa: ANN401 (a BaseCallbackHandler, known only when it is there)
    """A handler for ``callbacks=[...]``. Raises `CallBlocked` before a call leaves.

    An ``ainvoke`` that is cancelled tells no handler of it: only `instrument` sees that.
    """
    return _handler_class()()


def attach() -> Detach:
    """Each run of the process has the handler, also those of models and graphs made before."""
    from langchain_core.language_models import BaseChatModel

    _register()
    _process_wide.handler = callback_handler()
    patches = Patches()
    patches.wrap(BaseChatModel, "agenerate", _cancellable)

    def detach() -> None:
        _process_wide.handler = None
        patches.undo()

    return detach


class _ProcessWide:
    """What LangChain asks for a handler as it would a context variable: the same in each thread."""

    handler: object = None

    def get(self) -> object:
        return self.handler


_process_wide: Final = _ProcessWide()


@functools.cache
def _register() -> None:
    """Once, and for ever: there is no way to take a hook off again, so it says None then."""
    from langchain_core.tracers.context import register_configure_hook

    register_configure_hook(_process_wide, inheritable=True, handle_class=_handler_class())


@functools.cache
def _handler_class() -> type:
    from langchain_core.callbacks import BaseCallbackHandler

    return type("TollwayCallbackHandler", (_Callbacks, BaseCallbackHandler), {})


def _cancellable(agenerate: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(agenerate)
    async def agenerated(*args: object, **kwargs: object) -> object:
        with Cancellation(_runs):
            return await agenerate(*args, **kwargs)

    return agenerated


class _Callbacks:
    """What LangChain calls. Beside `CallBlocked`, nothing comes out of here."""

    raise_error = True
    run_inline = True
    ignore_retriever = True
    ignore_retry = True
    ignore_custom_event = True

    def on_chat_model_start(
        self,
        serialized: object,
        messages: Sequence[Sequence[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Metadata | None = None,
        **kwargs: Any,  # noqa: ANN401 (whatever LangChain adds)
    ) -> None:
        prompt = functools.partial(_prompt, messages)
        _model_begins(prompt, run_id, parent_run_id, metadata or {}, kwargs)

    def on_llm_start(
        self,
        serialized: object,
        prompts: Sequence[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Metadata | None = None,
        **kwargs: Any,  # noqa: ANN401 (whatever LangChain adds)
    ) -> None:
        _model_begins(lambda: prompts, run_id, parent_run_id, metadata or {}, kwargs)

    def on_llm_new_token(self, token: object, *, run_id: UUID, **kwargs: object) -> None:
        with safely():
            _runs.outside(run_id)

    def on_stream_event(self, event: object, *, run_id: UUID, **kwargs: object) -> None:
        with safely():
            _runs.outside(run_id)

    def on_llm_end(self, response: object, *, run_id: UUID, **kwargs: object) -> None:
        with safely():
            call = _runs.ended(run_id)
            if call is None:
                return
            if is_cached(response):
                # Nobody was asked, and nothing is to be paid.
                call.done = True
                return
            call.used(result_usage(response, _asked_provider(call)))

    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, response: object = None, **kwargs: object
    ) -> None:
        with safely():
            call = _runs.ended(run_id)
            if call is not None:
                usage = partial_usage(response, _asked_provider(call))
                call.failed(error, usage or refused(error))

    def on_chain_start(
        self,
        serialized: object,
        inputs: object,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Metadata | None = None,
        name: str | None = None,
        **kwargs: object,
    ) -> None:
        with safely():
            _runs.enter(run_id, parent_run_id, name or "", metadata or {}, is_tool=False)

    def on_chain_end(self, outputs: object, *, run_id: UUID, **kwargs: object) -> None:
        _runs.leave(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: object) -> None:
        _runs.leave(run_id)

    def on_tool_start(
        self,
        serialized: Metadata | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Metadata | None = None,
        inputs: object = None,
        name: str | None = None,
        **kwargs: object,
    ) -> None:
        known = metadata or {}
        tool = str((serialized or {}).get("name") or name or "tool")

        def describe() -> Asked:
            return Asked(
                kind="tool",
                framework=_framework(known),
                tool=tool,
                arguments=input_str if inputs is None else inputs,
                found=_runs.found(parent_run_id, known),
            )

        _runs.begin(run_id, describe, alone=True)
        with safely():
            _runs.enter(run_id, parent_run_id, tool, known, is_tool=True)

    def on_tool_end(self, output: object, *, run_id: UUID, **kwargs: object) -> None:
        with safely():
            _runs.leave(run_id)
            call = _runs.ended(run_id)
            if call is not None:
                # A tool may answer with a message that says of itself that it failed.
                failed = getattr(output, "status", "") == "error"
                more = {"status": "error"} if failed else {}
                call.returned(getattr(output, "content", output), **more)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: object) -> None:
        with safely():
            _runs.leave(run_id)
            call = _runs.ended(run_id)
            if call is None:
                return
            if type(error).__name__ == "GraphInterrupt":
                # It waits for a person, and runs anew with what that one says.
                call.aborted()
                return
            call.failed(error)


def _model_begins(
    prompt: Callable[[], object],
    run_id: UUID,
    parent: UUID | None,
    metadata: Metadata,
    more: dict[str, Any],
) -> None:
    def describe() -> Asked:
        parameters = more.get("invocation_params") or {}
        model = metadata.get("ls_model_name") or parameters.get("model")
        return Asked(
            framework=_framework(metadata),
            provider=provider_named(metadata.get("ls_provider")),
            model=str(model or ""),
            prompt=prompt(),
            found={**_runs.found(parent, metadata), "requested_model": str(model or "")},
        )

    # Of several prompts in one call all begin before the first has ended.
    _runs.begin(run_id, describe, alone=more.get("batch_size", 1) == 1)


def _framework(metadata: Metadata) -> str:
    return "langgraph" if "langgraph_node" in metadata else "langchain"


def _asked_provider(call: Call) -> str:
    asked = call.asked
    return "" if asked is None else asked.provider


def _prompt(messages: Sequence[Sequence[Any]]) -> object:
    """Without the ids of messages, which LangGraph makes anew: the same prompt, the same hash."""
    # Not by getattr: what a message lacks costs it a microsecond to deny.
    known = [message.__dict__ for each in messages for message in each]
    return [
        (
            message.get("type"),
            message.get("content"),
            [(call["name"], call["args"]) for call in message.get("tool_calls", ())],
        )
        for message in known
    ]
