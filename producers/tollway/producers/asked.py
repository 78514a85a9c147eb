"""What is known of a call before it is made, and the event's fields that come of it."""

from typing import Final, Literal

import msgspec

from tollway.producers import process
from tollway.producers.ambient import Fields, explicit

__all__ = ["Asked", "fields_of"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a call before it is made.

    `found` is attribution that a framework knows (its agent, its run): what the host attributed
    by itself wins over it. `prompt`, `arguments`: hashed here, never kept.
    """

    kind: Literal["llm", "tool"] = "llm"
    # Which adapter it is, such as "openai" or "langchain".
    framework: str
    provider: str = ""
    # Which dialect of the provider a response will be in; "" to find out from it.
    api: str = ""
    model: str = ""
    tool: str = ""
    connection: str = ""
    prompt: object = None
    arguments: object = None
    found: Fields = {}


def fields_of(asked: Asked, around: Fields) -> Fields:
    """What the host attributed wins over what frameworks know, the inner one over the outer."""
    found = {**_inherited(around), **_known(asked.found)} if around else asked.found
    said = explicit()
    fields = {name: value for name, value in found.items() if value and name not in said}
    fields["kind"] = asked.kind
    # The outermost: an agent's framework, and not the provider's SDK below it.
    fields["tags"] = {"framework": asked.framework, **_tags(found.get("tags"))}
    for name in ("provider", "model", "tool", "connection"):
        if value := getattr(asked, name):
            fields[name] = value
    hashes = process.hashes()
    if asked.prompt is not None:
        fields["prompt_hash"] = hashes.of(asked.prompt)
    if asked.arguments is not None:
        fields["args_hash"] = hashes.of(asked.arguments)
    return fields


def _inherited(around: Fields) -> Fields:
    return {name: around[name] for name in _INHERITED if name in around}


def _known(found: Fields) -> Fields:
    return {name: value for name, value in found.items() if value}


def _tags(tags: object) -> dict[str, str]:
    return tags if isinstance(tags, dict) else {}


_INHERITED: Final = (
    "agent",
    "session",
    "parent_session",
    "task",
    "user",
    "customer",
    "step",
    "tags",
)
