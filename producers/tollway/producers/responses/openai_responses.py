"""The responses dialect of OpenAI, its streams, and its realtime events."""

from typing import Final

from tollway.producers.responses.fields import Fields, count, count_or_0, fields_of, items, name
from tollway.producers.responses.openai_usage import read_token_usage
from tollway.producers.responses.seen import Seen

__all__ = ["read_response", "read_response_event"]

# What the agent has to do itself; the others the provider runs.
_CALLS: Final = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "computer_call",
    }
)
_SEARCH: Final = "web_search_call"


def read_response(body: Fields, seen: Seen) -> None:
    """A whole response, also as the events of a stream hold it."""
    seen.begun = True
    seen.id = name(body.get("id")) or seen.id
    seen.model = name(body.get("model")) or seen.model
    status = body.get("status")
    tier = name(body.get("service_tier"))
    # While it goes on it is the one that was asked for.
    seen.service_tier = "" if tier == "auto" else tier or seen.service_tier
    if status == "failed" or body.get("error"):
        seen.failed = True
    output = body.get("output")
    if output:
        _read_output(output, seen)
    usage = fields_of(body.get("usage"))
    if usage is not None and read_token_usage(usage, seen):
        seen.told = status not in ("in_progress", "queued")
        tools = fields_of(body.get("tool_usage"))
        if tools is not None:
            _add_tools(tools, seen)


def _add_tools(tools: Fields, seen: Seen) -> None:
    """What the provider's own tools used; the images' tokens are in no total."""
    search = fields_of(tools.get("web_search"))
    done = None if search is None else count(search.get("num_requests"))
    if done is not None:
        seen.searches = done
    images = fields_of(tools.get("image_gen"))
    if images is not None:
        given = count_or_0(images.get("input_tokens"))
        made = count_or_0(images.get("output_tokens"))
        seen.input_tokens += given
        seen.output_tokens += made
        seen.output_image_tokens += made
        details = fields_of(images.get("input_tokens_details"))
        if details is not None:
            seen.input_image_tokens += count_or_0(details.get("image_tokens"))


def read_response_event(event: Fields, seen: Seen) -> None:
    """One event of a stream: the first and the last hold the response, the others pieces of it."""
    seen.begun = True
    response = fields_of(event.get("response"))
    if response is not None:
        read_response(response, seen)
        return
    if event.get("type") == "response.output_item.done":
        item = fields_of(event.get("item"))
        if item is not None:
            _count_item(item, seen)


def _read_output(output: object, seen: Seen) -> None:
    seen.tool_calls = seen.searches = 0
    for item in items(output):
        _count_item(item, seen)


def _count_item(item: Fields, seen: Seen) -> None:
    kind = item.get("type")
    if kind in _CALLS:
        seen.tool_calls += 1
    elif kind == _SEARCH:
        action = fields_of(item.get("action"))
        # Opening a page and finding in it are free.
        if action is None or action.get("type") in (None, "search"):
            seen.searches += 1
