"""Chat completions, completions and embeddings, of OpenAI and of everybody who speaks them."""

from tollway.producers.responses.fields import Fields, fields_of, items, name
from tollway.producers.responses.openai_usage import read_usage
from tollway.producers.responses.seen import Seen

__all__ = ["read_chat"]


def read_chat(body: Fields, seen: Seen) -> None:
    """A completion, a list of embeddings, or a chunk of a streamed completion."""
    seen.begun = True
    # Azure's first chunk has the names empty.
    seen.id = name(body.get("id")) or seen.id
    seen.model = name(body.get("model")) or seen.model
    tier = name(body.get("service_tier"))
    if tier:
        seen.service_tier = tier
    choices = body.get("choices")
    if choices:
        _read_choices(choices, seen)
    usage = body.get("usage")
    if usage is None:
        groq = fields_of(body.get("x_groq"))
        usage = None if groq is None else groq.get("usage")
    counts = fields_of(usage)
    if counts is not None and read_usage(counts, seen):
        # Some tell running totals in each chunk: only what comes with the end, or after it, is
        # all. A chunk of usage alone has no choices, and nothing follows it.
        seen.told = seen.ended or not choices
    if body.get("error") is not None:
        seen.failed = True


def _read_choices(choices: object, seen: Seen) -> None:
    for choice in items(choices):
        if choice.get("finish_reason"):
            seen.ended = True
        delta = fields_of(choice.get("delta"))
        if delta is not None:
            seen.tool_calls += _calls_begun(delta)
            continue
        # Perplexity's chunks have both; a message alone is a whole one.
        message = fields_of(choice.get("message"))
        if message is not None:
            seen.ended = True
            seen.tool_calls += _calls_of(message)


def _calls_of(message: Fields) -> int:
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        return len(calls)
    return 1 if message.get("function_call") else 0


def _calls_begun(delta: Fields) -> int:
    """A call comes in pieces, of which the first alone has its name."""
    calls = delta.get("tool_calls")
    if not calls:
        function = fields_of(delta.get("function_call"))
        return 1 if function is not None and function.get("name") else 0
    begun = 0
    for call in items(calls):
        function = fields_of(call.get("function"))
        if function is not None and function.get("name"):
            begun += 1
    return begun
