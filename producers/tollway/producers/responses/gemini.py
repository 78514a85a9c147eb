"""Gemini's generated contents and interactions, of Google AI and of Vertex."""

from typing import Final

from tollway.producers.responses.fields import Fields, count, count_or_0, fields_of, items, name
from tollway.producers.responses.seen import Seen

__all__ = ["read_content", "read_embeddings", "read_interaction", "read_interaction_event"]

# Modalities and kinds of traffic, by name, and by number where a client asks for numbers.
_IMAGE: Final = ("IMAGE", 2)
_AUDIO: Final = ("AUDIO", 4)
_TRAFFIC: Final[dict[object, str]] = {
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "PROVISIONED_THROUGHPUT": "provisioned_throughput",
    2: "provisioned_throughput",
}


def _either(fields: Fields, camel: str, snake: str) -> object:
    """The wire has the one spelling, Python's types the other."""
    value = fields.get(camel)
    return fields.get(snake) if value is None else value


def read_content(body: Fields, seen: Seen) -> None:
    """A whole answer or a chunk of one: each tells what was used up to it."""
    seen.begun = True
    seen.id = name(_either(body, "responseId", "response_id")) or seen.id
    seen.model = name(_either(body, "modelVersion", "model_version")) or seen.model
    for candidate in items(body.get("candidates")):
        _read_candidate(candidate, seen)
    feedback = fields_of(_either(body, "promptFeedback", "prompt_feedback"))
    if feedback is not None and _either(feedback, "blockReason", "block_reason"):
        seen.ended = True
    usage = fields_of(_either(body, "usageMetadata", "usage_metadata"))
    if usage is not None and _read_usage(usage, seen):
        seen.told = seen.ended or body.get("embeddings") is not None


def _read_candidate(candidate: Fields, seen: Seen) -> None:
    if _either(candidate, "finishReason", "finish_reason"):
        seen.ended = True
    content = fields_of(candidate.get("content"))
    if content is not None:
        for part in items(content.get("parts")):
            call = fields_of(_either(part, "functionCall", "function_call"))
            # Streamed arguments repeat the call without its name.
            if call is not None and call.get("name"):
                seen.tool_calls += 1
    grounding = fields_of(_either(candidate, "groundingMetadata", "grounding_metadata"))
    if grounding is not None:
        queries = _either(grounding, "webSearchQueries", "web_search_queries")
        if isinstance(queries, list) and queries:
            # Until Gemini 2.5 a grounded prompt is billed once, since Gemini 3 each query.
            older = seen.model.startswith(("gemini-1", "gemini-2"))
            seen.searches = 1 if older else len(queries)


def _read_usage(usage: Fields, seen: Seen) -> bool:
    """Thoughts and the results of tools are billed, and outside of the two main counts."""
    _read_tier(usage, seen)
    prompt = count(_either(usage, "promptTokenCount", "prompt_token_count"))
    candidates = count(_either(usage, "candidatesTokenCount", "candidates_token_count"))
    if candidates is None:
        # The live dialect's word for it.
        candidates = count(_either(usage, "responseTokenCount", "response_token_count"))
    thoughts = count_or_0(_either(usage, "thoughtsTokenCount", "thoughts_token_count"))
    tools = count_or_0(_either(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count"))
    cached = _either(usage, "cachedContentTokenCount", "cached_content_token_count")
    if prompt is None and candidates is None and not thoughts:
        return False
    seen.input_tokens = (prompt or 0) + tools
    seen.output_tokens = (candidates or 0) + thoughts
    seen.reasoning_tokens = thoughts
    seen.cache_read_tokens = count_or_0(cached)
    _read_modalities(usage, seen)
    return prompt is not None


def _read_tier(usage: Fields, seen: Seen) -> None:
    tier = name(_either(usage, "serviceTier", "service_tier"))
    if tier:
        seen.service_tier = tier.lower()
    traffic = _either(usage, "trafficType", "traffic_type")
    if traffic is not None:
        word = traffic if isinstance(traffic, int) else name(traffic)
        seen.service_tier = _TRAFFIC.get(word, seen.service_tier)


def _read_modalities(usage: Fields, seen: Seen) -> None:
    details = _either(usage, "promptTokensDetails", "prompt_tokens_details")
    seen.input_audio_tokens, seen.input_image_tokens = _audio_and_images(details)
    details = _either(usage, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details")
    if details:
        audio, images = _audio_and_images(details)
        seen.input_audio_tokens += audio
        seen.input_image_tokens += images
    details = _either(usage, "cacheTokensDetails", "cache_tokens_details")
    seen.cache_read_audio_tokens, _ = _audio_and_images(details)
    details = _either(usage, "candidatesTokensDetails", "candidates_tokens_details")
    if details is None:
        details = _either(usage, "responseTokensDetails", "response_tokens_details")
    seen.output_audio_tokens, seen.output_image_tokens = _audio_and_images(details)


def _audio_and_images(details: object) -> tuple[int, int]:
    audio = images = 0
    for part in items(details):
        modality = part.get("modality")
        if modality in _AUDIO:
            audio += count_or_0(_either(part, "tokenCount", "token_count"))
        elif modality in _IMAGE:
            images += count_or_0(_either(part, "tokenCount", "token_count"))
    return audio, images


def read_embeddings(body: Fields, seen: Seen) -> None:
    """Vectors, of Vertex on the wire or of google-genai: each may tell its own tokens."""
    seen.begun = True
    told = [_statistics_of(part) for part in items(body.get("predictions"))]
    told += [_statistics_of(part) for part in items(body.get("embeddings"))]
    seen.input_tokens = sum(tokens or 0 for tokens in told)
    seen.told = bool(told) and None not in told


def _statistics_of(part: Fields) -> int | None:
    vector = fields_of(part.get("embeddings")) or part
    statistics = fields_of(vector.get("statistics"))
    return None if statistics is None else count(_either(statistics, "tokenCount", "token_count"))


def read_interaction(body: Fields, seen: Seen) -> None:
    """An interaction: the dialect of Gemini's agents."""
    seen.begun = True
    seen.id = name(body.get("id")) or seen.id
    seen.model = name(body.get("model")) or seen.model
    seen.service_tier = name(body.get("service_tier")) or seen.service_tier
    status = name(body.get("status"))
    if status == "failed":
        seen.failed = True
    calls = 0
    for part in items(body.get("steps") or body.get("outputs")):
        calls += part.get("type") == "function_call"
    seen.tool_calls = calls or seen.tool_calls
    usage = fields_of(body.get("usage"))
    if usage is not None and _read_interaction_usage(usage, seen):
        seen.told = status != "in_progress"


def read_interaction_event(event: Fields, seen: Seen) -> None:
    """One event of a streamed interaction: the last holds the whole."""
    seen.begun = True
    interaction = fields_of(event.get("interaction"))
    if interaction is not None:
        read_interaction(interaction, seen)


def _read_interaction_usage(usage: Fields, seen: Seen) -> bool:
    given = count(usage.get("total_input_tokens"))
    made = count(usage.get("total_output_tokens"))
    thoughts = count_or_0(usage.get("total_thought_tokens"))
    seen.input_tokens = (given or 0) + count_or_0(usage.get("total_tool_use_tokens"))
    seen.output_tokens = (made or 0) + thoughts
    seen.reasoning_tokens = thoughts
    seen.cache_read_tokens = count_or_0(usage.get("total_cached_tokens"))
    return given is not None and made is not None
