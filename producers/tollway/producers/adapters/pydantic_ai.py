"""Pydantic AI: a capability meters an agent, and what is attached puts it into every run.

`capability()` is the framework's own idiom and enough by itself:
``Agent("openai:gpt-5", capabilities=[capability()])``. Attached, it is in each run of each agent,
save those under durable execution, which refuses a capability that it did not see before. Not
metered: requests without an agent (`pydantic_ai.direct`: the adapter of the provider's SDK sees
them), embeddings, and the model of a realtime session.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.patching import Patches
from tollway.producers.calls import safely

__all__ = ["attach", "capability"]

Framework = Any  # it has no types here
_DURABLE: Final = "pydantic_ai.durable_exec"


def capability() -> Framework:
    """A capability that meters its agent, and blocks before a model or a tool is called."""
    from tollway.producers.adapters.pydantic_ai_capability import Metering

    return Metering()


def attach() -> Detach:
    """`iter` is what every way to run an agent comes by, streamed or not."""
    from pydantic_ai import Agent

    patches = Patches()
    patches.wrap(Agent, "iter", functools.partial(_iterating, capability()))
    return patches.undo


def _iterating(metering: Framework, iterate: Callable[..., Framework]) -> Callable[..., Framework]:
    @functools.wraps(iterate)
    def iterated(agent: Framework, *args: object, **kwargs: Framework) -> Framework:
        with safely():
            given = list(kwargs.get("capabilities") or ())
            if not _stays_as_it_is([*_capabilities(agent), *given], type(metering)):
                kwargs = {**kwargs, "capabilities": [*given, metering]}
        return iterate(agent, *args, **kwargs)

    return iterated


def _capabilities(agent: Framework) -> list[object]:
    found: list[object] = []
    agent.root_capability.apply(found.append)
    return found


def _stays_as_it_is(capabilities: list[object], metering: type) -> bool:
    """Metered already, or durable: see above."""
    return any(
        isinstance(each, metering) or type(each).__module__.startswith(_DURABLE)
        for each in capabilities
    )
