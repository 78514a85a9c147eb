"""Claude Agent SDK: its models metered by the messages that come, its tools asked for by hooks.

The models are called by another program, Claude Code: a refusal there is a hook's, which ends the
turn, and the host gets `CallBlocked` in the place of the turn's result. For one connection:

    conversation = Conversation()
    options = ClaudeAgentOptions(hooks=conversation.hooks())
    async for message in conversation.metered(query(prompt=..., options=options)): ...
"""

import dataclasses
import functools
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any
from weakref import WeakKeyDictionary

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.claude_conversation import Conversation, Messages
from tollway.producers.adapters.patching import Patches

__all__ = ["Conversation", "attach"]

# The SDK's own objects: it is not there when this is type-checked.
Framework = Any


def attach() -> Detach:
    """Every `query()` and every `ClaudeSDKClient`, those that are there already too."""
    from claude_agent_sdk import ClaudeSDKClient

    # Not `query` itself: hosts import it by its name, and keep what they have.
    from claude_agent_sdk._internal.client import InternalClient

    patches = Patches()
    patches.wrap(InternalClient, "process_query", _querying)
    patches.wrap(ClaudeSDKClient, "connect", _connecting)
    patches.wrap(ClaudeSDKClient, "query", _asking)
    patches.wrap(ClaudeSDKClient, "receive_messages", _receiving)
    return patches.undo


def _hooked(options: Framework) -> tuple[Framework, Conversation]:
    """Options with our hooks beside the host's, and whose they are: the host may have some."""
    from claude_agent_sdk import ClaudeAgentOptions

    options = ClaudeAgentOptions() if options is None else options
    hooks = dict(options.hooks or {})
    for matcher in hooks.get("PreToolUse", ()):
        for hook in matcher.hooks:
            if isinstance(owner := getattr(hook, "__self__", None), Conversation):
                return options, owner
    conversation = Conversation()
    for event, matchers in conversation.hooks().items():
        # The last: a host's hook may have changed what the tool is given.
        hooks[event] = [*hooks.get(event, ()), *matchers]
    return dataclasses.replace(options, hooks=hooks), conversation


def _querying(process_query: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(process_query)
    async def queried(
        client: Framework, prompt: object, options: Framework, transport: object = None
    ) -> Messages:
        options, conversation = _hooked(options)
        messages = process_query(client, prompt=prompt, options=options, transport=transport)
        async with aclosing(conversation.metered(messages)) as metered:
            async for message in metered:
                yield message

    return queried


_conversations: WeakKeyDictionary[object, Conversation] = WeakKeyDictionary()


def _connecting(connect: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
    @functools.wraps(connect)
    async def connected(client: Framework, *args: object, **kwargs: object) -> None:
        before = client.options
        # For as long as the connection is made: the options are the host's.
        client.options, conversation = _hooked(before)
        _conversations[client] = conversation
        try:
            conversation.ask()
            await connect(client, *args, **kwargs)
        finally:
            client.options = before

    return connected


def _asking(query: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
    @functools.wraps(query)
    async def asked(client: Framework, *args: object, **kwargs: object) -> None:
        conversation = _conversations.get(client)
        if conversation is not None:
            conversation.ask()
        await query(client, *args, **kwargs)

    return asked


def _receiving(receive: Callable[..., Messages]) -> Callable[..., Any]:
    @functools.wraps(receive)
    async def received(client: Framework) -> Messages:
        conversation = _conversations.get(client)
        messages = receive(client)
        passing = messages if conversation is None else conversation.metered(messages)
        async with aclosing(passing):
            async for message in passing:
                yield message

    return received
