"""Ollama's own dialect: chats, generations and embeddings."""

from tollway.producers.responses.fields import Fields, count, fields_of, name
from tollway.producers.responses.seen import Seen

__all__ = ["read_ollama"]


def read_ollama(body: Fields, seen: Seen) -> None:
    """A whole answer or a line of a stream; the last has the counts."""
    seen.begun = True
    seen.model = name(body.get("model")) or seen.model
    message = fields_of(body.get("message"))
    if message is not None:
        calls = message.get("tool_calls")
        seen.tool_calls += len(calls) if isinstance(calls, list | tuple) else 0
    # Some versions leave out the prompt's count where it was in the cache: that is not zero.
    given = count(body.get("prompt_eval_count"))
    made = count(body.get("eval_count"))
    if given is not None:
        seen.input_tokens = given
    if made is not None:
        seen.output_tokens = made
    embeds = body.get("embeddings") is not None
    seen.told = given is not None and (made is not None or embeds)
