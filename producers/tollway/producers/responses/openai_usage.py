"""The usage objects of OpenAI and of who speaks its dialects: parts are inside of their wholes."""

from tollway.producers.responses.fields import Fields, count, count_or_0, fields_of, number
from tollway.producers.responses.seen import Seen

__all__ = ["read_prompt_usage", "read_token_usage", "read_usage"]


def read_usage(usage: Fields, seen: Seen) -> bool:
    """Either of the two shapes. False where it does not say how much was used."""
    if usage.get("prompt_tokens") is not None or usage.get("completion_tokens") is not None:
        return read_prompt_usage(usage, seen)
    return read_token_usage(usage, seen)


def read_prompt_usage(usage: Fields, seen: Seen) -> bool:
    """`prompt_tokens` and `completion_tokens`: chat completions, completions, embeddings."""
    prompt = count(usage.get("prompt_tokens"))
    completion = count(usage.get("completion_tokens"))
    total = count(usage.get("total_tokens"))
    if completion is None and prompt is not None and total is not None and total >= prompt:
        # Embeddings have no completion.
        completion = total - prompt
    seen.input_tokens = prompt or 0
    seen.output_tokens = completion or 0
    seen.cache_read_tokens = seen.cache_write_tokens = seen.reasoning_tokens = 0
    details = fields_of(usage.get("prompt_tokens_details"))
    if details is not None:
        _read_input_details(details, seen)
    if not seen.cache_read_tokens:
        seen.cache_read_tokens = _cached_elsewhere(usage)
    if not seen.cache_write_tokens:
        # LiteLLM writes Anthropic's caches so, beside a prompt that includes them.
        seen.cache_write_tokens = count_or_0(usage.get("cache_creation_input_tokens"))
        written = None if details is None else details.get("cache_creation_token_details")
        by_time = fields_of(written)
        if by_time is not None:
            seen.cache_write_1h_tokens = count_or_0(by_time.get("ephemeral_1h_input_tokens"))
    details = fields_of(usage.get("completion_tokens_details"))
    if details is not None:
        _read_output_details(details, seen)
    reasoning = seen.reasoning_tokens
    if reasoning and total == seen.input_tokens + seen.output_tokens + reasoning:
        # xAI counts reasoning apart from the completion, and only the total tells.
        seen.output_tokens += reasoning
    seen.searches = count_or_0(usage.get("num_search_queries")) or seen.searches
    seen.seconds = number(usage.get("prompt_audio_seconds"))
    return prompt is not None and completion is not None


def _cached_elsewhere(usage: Fields) -> int:
    """DeepSeek, Moonshot and Together, Mistral, LiteLLM: each has a name of its own."""
    for name in (
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
        "cache_read_input_tokens",
    ):
        cached = count(usage.get(name))
        if cached:
            return cached
    return 0


def read_token_usage(usage: Fields, seen: Seen) -> bool:
    """`input_tokens` and `output_tokens`: responses, images, transcriptions, realtime, batches."""
    given = count(usage.get("input_tokens"))
    made = count(usage.get("output_tokens"))
    if given is None and made is None:
        seconds = number(usage.get("seconds"))
        if seconds:
            seen.seconds = seconds
            return True
        return _read_total(usage, seen)
    seen.input_tokens = given or 0
    seen.output_tokens = made or 0
    seen.cache_read_tokens = seen.cache_write_tokens = seen.reasoning_tokens = 0
    # Audio and realtime have the word in the singular.
    details = fields_of(usage.get("input_tokens_details") or usage.get("input_token_details"))
    if details is not None:
        _read_input_details(details, seen)
    details = fields_of(usage.get("output_tokens_details") or usage.get("output_token_details"))
    if details is not None:
        _read_output_details(details, seen)
    tools = fields_of(usage.get("server_side_tool_usage_details"))
    if tools is not None:
        seen.searches = count_or_0(tools.get("web_search_calls"))
        seen.searches += count_or_0(tools.get("x_search_calls"))
    return given is not None and made is not None


def _read_total(usage: Fields, seen: Seen) -> bool:
    """Voyage and Jina tell of embeddings and rankings, all of whose tokens are input, the total."""
    total = count(usage.get("total_tokens"))
    seen.input_tokens = total or 0
    return total is not None


def _read_input_details(details: Fields, seen: Seen) -> None:
    seen.cache_read_tokens = count_or_0(details.get("cached_tokens"))
    seen.cache_write_tokens = count_or_0(
        details.get("cache_write_tokens") or details.get("cache_creation_tokens")
    )
    seen.input_audio_tokens = count_or_0(details.get("audio_tokens"))
    seen.input_image_tokens = count_or_0(details.get("image_tokens"))
    cached = fields_of(details.get("cached_tokens_details"))
    if cached is not None:
        seen.cache_read_audio_tokens = count_or_0(cached.get("audio_tokens"))


def _read_output_details(details: Fields, seen: Seen) -> None:
    seen.reasoning_tokens = count_or_0(details.get("reasoning_tokens"))
    seen.output_audio_tokens = count_or_0(details.get("audio_tokens"))
    seen.output_image_tokens = count_or_0(details.get("image_tokens"))
