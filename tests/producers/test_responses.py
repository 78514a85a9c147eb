"""The traps of each provider's usage, one by one, in bodies made for them."""

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import pytest

from tollway.producers.responses import ResponseUsage, usage_of

Body = dict[str, Any]


def chat(usage: Body, **more: object) -> Body:
    message = {"role": "assistant", "content": "hello"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c-1", "object": "chat.completion", "choices": [choice], "usage": usage, **more}


def answer(usage: Body, **more: object) -> Body:
    return {"id": "resp_1", "object": "response", "status": "completed", "usage": usage, **more}


def message(usage: Body, *content: Body) -> Body:
    return {"id": "msg_1", "type": "message", "content": list(content), "usage": usage}


def generated(usage: Body, **candidate: object) -> Body:
    return {"candidates": [{"finishReason": "STOP", **candidate}], "usageMetadata": usage}


def parts(usage: ResponseUsage) -> dict[str, object]:
    """What is said of a response but who answered."""
    names = {"id", "source", "provider", "model"}
    return {name: value for name, value in usage.fields().items() if name not in names}


def test_a_chat_says_who_answered_what_and_how_it_is_billed() -> None:
    body = chat(
        {"prompt_tokens": 3, "completion_tokens": 4}, model="gpt-5", service_tier="priority"
    )
    assert usage_of(body).fields() == {
        "id": "c-1",
        "source": "openai",
        "provider": "openai",
        "model": "gpt-5",
        "service_tier": "priority",
        "input_tokens": 3,
        "output_tokens": 4,
    }


def test_a_chats_parts_are_inside_of_their_wholes() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 20,
            "audio_tokens": 5,
            "image_tokens": 6,
        },
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 7},
    }
    assert parts(usage_of(chat(usage))) == {
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_tokens": 40,
        "cache_write_tokens": 20,
        "reasoning_tokens": 30,
        "input_audio_tokens": 5,
        "output_audio_tokens": 7,
        "input_image_tokens": 6,
    }


def test_reasoning_that_only_the_total_counts_is_added_to_the_output() -> None:
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 1,
        "total_tokens": 303,
        "completion_tokens_details": {"reasoning_tokens": 290},
    }
    assert usage_of(chat(usage)).output_tokens == 291


@pytest.mark.parametrize(
    "name",
    ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"],
)
def test_each_speaker_of_chat_has_a_name_of_its_own_for_the_cache(name: str) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, name: 8}
    assert usage_of(chat(usage)).cache_read_tokens == 8


def test_what_a_gateway_says_it_costs_is_not_believed() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "cost": 99.0}
    assert parts(usage_of(chat(usage))) == {"input_tokens": 1, "output_tokens": 1}


def test_each_call_of_a_tool_counts_once_however_many_pieces_it_comes_in() -> None:
    pieces = [
        {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "id": "call_2", "function": {"name": "g", "arguments": ""}},
    ]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]} for piece in pieces]
    assert usage_of(chunks).tool_calls == 2
    whole = chat({"prompt_tokens": 1, "completion_tokens": 1})
    whole["choices"][0]["message"]["tool_calls"] = [{"id": "call_1"}, {"id": "call_2"}]
    assert usage_of(whole).tool_calls == 2


def test_embeddings_have_no_output() -> None:
    body = {"object": "list", "data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    usage = usage_of({**body, "model": "text-embedding-3-small"})
    assert parts(usage) == {"input_tokens": 8}
    assert usage.provider == "openai"


def test_embeddings_that_tell_only_a_total_are_all_input() -> None:
    body = {"object": "list", "data": [], "model": "voyage-4", "usage": {"total_tokens": 8}}
    usage = usage_of(body)
    assert (usage.provider, usage.input_tokens, usage.usage_missing) == ("voyageai", 8, False)


def test_a_total_does_not_say_what_of_it_was_the_prompt() -> None:
    assert usage_of(chat({"prompt_tokens": None, "completion_tokens": 4})).usage_missing


def test_responses_count_the_searches_and_the_calls_the_agent_has_to_make() -> None:
    output = [
        {"type": "function_call", "name": "f"},
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "mcp_call", "name": "g"},
    ]
    usage = usage_of(answer({"input_tokens": 1, "output_tokens": 2}, output=output))
    assert (usage.tool_calls, usage.searches) == (1, 1)


def test_images_that_a_response_makes_are_in_no_total_and_are_added() -> None:
    tools = {
        "image_gen": {
            "input_tokens": 20,
            "input_tokens_details": {"image_tokens": 15, "text_tokens": 5},
            "output_tokens": 300,
        },
        "web_search": {"num_requests": 2},
    }
    usage = usage_of(answer({"input_tokens": 10, "output_tokens": 1}, tool_usage=tools))
    assert parts(usage) == {
        "input_tokens": 30,
        "output_tokens": 301,
        "input_image_tokens": 15,
        "output_image_tokens": 300,
        "searches": 2,
    }


def test_the_tier_that_was_asked_for_gives_way_to_the_one_that_is_billed() -> None:
    events = [
        {"type": "response.created", "response": {"id": "resp_1", "service_tier": "auto"}},
        {
            "type": "response.completed",
            "response": answer({"input_tokens": 1, "output_tokens": 2}, service_tier="flex"),
        },
    ]
    assert usage_of(events[:1]).service_tier == ""
    assert usage_of(events).service_tier == "flex"


def test_an_image_is_billed_by_the_tokens_of_text_and_image() -> None:
    usage = {
        "input_tokens": 50,
        "output_tokens": 4160,
        "total_tokens": 4210,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
    }
    assert parts(usage_of({"created": 1, "data": [{"b64_json": ""}], "usage": usage})) == {
        "input_tokens": 50,
        "output_tokens": 4160,
        "input_image_tokens": 40,
        "output_image_tokens": 4160,
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"text": "", "usage": {"type": "duration", "seconds": 9}}, {"seconds": 9.0}),
        ({"text": "", "task": "transcribe", "duration": 8.47}, {"seconds": 8.47}),
        (
            {
                "text": "",
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"audio_tokens": 14, "text_tokens": 0},
                    "output_tokens": 45,
                },
            },
            {"input_tokens": 14, "output_tokens": 45, "input_audio_tokens": 14},
        ),
    ],
)
def test_a_transcription_is_billed_by_tokens_or_by_seconds(
    body: Body, expected: dict[str, object]
) -> None:
    assert parts(usage_of(body)) == expected


def test_a_batch_has_the_usage_of_all_that_it_did_at_the_price_of_a_batch() -> None:
    usage = {"input_tokens": 100, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 4}}
    body = {"id": "batch_1", "object": "batch", "status": "completed", "usage": usage}
    assert parts(usage_of(body)) == {
        "service_tier": "batch",
        "input_tokens": 100,
        "output_tokens": 9,
        "cache_read_tokens": 4,
    }
    assert usage_of({**body, "status": "in_progress"}).usage_missing


def test_a_line_of_a_batchs_results_is_the_response_inside() -> None:
    inside = chat({"prompt_tokens": 3, "completion_tokens": 4})
    line = {"id": "b", "custom_id": "1", "response": {"status_code": 200, "body": inside}}
    usage = usage_of(line)
    assert (usage.id, usage.service_tier, usage.output_tokens) == ("c-1", "batch", 4)
    theirs = message({"input_tokens": 3, "output_tokens": 5, "service_tier": "batch"})
    line = {"custom_id": "1", "result": {"type": "succeeded", "message": theirs}}
    assert usage_of(line).output_tokens == 5


def test_what_is_free_lacks_no_usage() -> None:
    body = {"id": "modr-1", "model": "omni-moderation-latest", "results": [{"flagged": False}]}
    assert parts(usage_of(body)) == {}


def test_anthropics_input_leaves_caches_out_and_is_made_to_hold_them() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 90,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 60},
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 25},
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
        "service_tier": "priority",
    }
    blocks = [{"type": "tool_use"}, {"type": "server_tool_use"}, {"type": "text", "text": ""}]
    read = usage_of(message(usage, *blocks))
    assert read.provider == "anthropic"
    assert parts(read) == {
        "service_tier": "priority",
        "tool_calls": 1,
        "input_tokens": 300,
        "output_tokens": 40,
        "cache_read_tokens": 200,
        "cache_write_tokens": 90,
        "cache_write_1h_tokens": 60,
        "reasoning_tokens": 25,
        "searches": 3,
    }


def test_what_a_compaction_used_is_in_no_total_and_is_added() -> None:
    part = {"input_tokens": 500, "cache_read_input_tokens": 70, "output_tokens": 30}
    usage = {
        "input_tokens": 10,
        "output_tokens": 4,
        "iterations": [
            {"type": "compaction", **part},
            {"type": "message", "input_tokens": 10, "output_tokens": 4},
        ],
    }
    assert parts(usage_of(message(usage))) == {
        "input_tokens": 580,
        "output_tokens": 34,
        "cache_read_tokens": 70,
    }


def test_a_fast_answer_has_the_price_of_its_speed() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard", "speed": "fast"}
    assert usage_of(message(usage)).service_tier == "fast"


@pytest.mark.parametrize(
    ("identity", "provider"),
    [("msg_01", "anthropic"), ("msg_bdrk_01", "aws"), ("msg_vrtx_01", "google")],
)
def test_a_messages_id_tells_who_passed_it_on(identity: str, provider: str) -> None:
    body = {**message({"input_tokens": 1, "output_tokens": 1}), "id": identity}
    assert usage_of(body).provider == provider


def test_geminis_thoughts_and_tool_results_are_outside_of_its_counts_and_are_added() -> None:
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 30,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 50},
            {"modality": "AUDIO", "tokenCount": 30},
            {"modality": "IMAGE", "tokenCount": 20},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 12}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 9}],
    }
    calls = {"parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"willContinue": True}}]}
    assert parts(usage_of(generated(usage, content=calls))) == {
        "tool_calls": 1,
        "input_tokens": 107,
        "output_tokens": 40,
        "cache_read_tokens": 60,
        "reasoning_tokens": 30,
        "input_audio_tokens": 30,
        "cache_read_audio_tokens": 12,
        "input_image_tokens": 20,
        "output_image_tokens": 9,
    }


@pytest.mark.parametrize(
    ("traffic", "tier"),
    [
        ("ON_DEMAND", ""),
        (1, ""),
        ("ON_DEMAND_FLEX", "flex"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("PROVISIONED_THROUGHPUT", "provisioned_throughput"),
    ],
)
def test_vertex_names_its_tiers_by_the_traffic(traffic: str | int, tier: str) -> None:
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "trafficType": traffic}
    assert usage_of(generated(usage)).service_tier == tier


@pytest.mark.parametrize(("model", "searches"), [("gemini-2.5-flash", 1), ("gemini-3-pro", 2)])
def test_grounding_is_billed_by_the_prompt_and_since_gemini_3_by_the_query(
    model: str, searches: int
) -> None:
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1}
    body = generated(usage, groundingMetadata={"webSearchQueries": ["a", "b"]})
    assert usage_of({**body, "modelVersion": model}).searches == searches


def test_a_blocked_prompt_is_at_its_end() -> None:
    feedback = {"blockReason": "SAFETY"}
    body = {"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 7}}
    assert parts(usage_of(body)) == {"input_tokens": 7}


def test_vertex_tells_the_tokens_of_each_vector() -> None:
    predictions = [
        {"embeddings": {"values": [], "statistics": {"token_count": 6}}},
        {"embeddings": {"values": [], "statistics": {"token_count": 4}}},
    ]
    assert parts(usage_of({"predictions": predictions})) == {"input_tokens": 10}


def test_bedrocks_input_leaves_caches_out_and_is_made_to_hold_them() -> None:
    body = {
        "ResponseMetadata": {"RequestId": "r-1", "HTTPHeaders": {}},
        "output": {"message": {"content": [{"toolUse": {"name": "f"}}]}},
        "stopReason": "tool_use",
        "serviceTier": {"type": "flex"},
        "usage": {
            "inputTokens": 10,
            "outputTokens": 4,
            "cacheReadInputTokens": 200,
            "cacheWriteInputTokens": 90,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 60}, {"ttl": "5m", "inputTokens": 30}],
        },
    }
    assert usage_of(body).fields() == {
        "id": "r-1",
        "source": "aws",
        "provider": "aws",
        "service_tier": "flex",
        "tool_calls": 1,
        "input_tokens": 300,
        "output_tokens": 4,
        "cache_read_tokens": 200,
        "cache_write_tokens": 90,
        "cache_write_1h_tokens": 60,
    }


class OnceReadable:
    """A body of boto3: whoever reads it takes it from the host."""

    def read(self) -> bytes:
        raise AssertionError("the body is the host's")

    __iter__ = read


def test_an_invokes_usage_is_in_its_headers_and_its_body_stays_the_hosts() -> None:
    headers = {
        "x-amzn-bedrock-input-token-count": "13",
        "x-amzn-bedrock-output-token-count": "3",
    }
    metadata = {"RequestId": "r-1", "HTTPHeaders": headers}
    body = {"ResponseMetadata": metadata, "contentType": "", "body": OnceReadable()}
    assert parts(usage_of(body)) == {"input_tokens": 13, "output_tokens": 3}


@pytest.mark.parametrize(
    ("body", "given", "made"),
    [
        ({"inputTextTokenCount": 5, "results": [{"tokenCount": 7}]}, 5, 7),
        ({"inputTextTokenCount": 5, "embedding": []}, 5, 0),
        (
            {
                "generation": "",
                "prompt_token_count": 5,
                "generation_token_count": 7,
                "stop_reason": "stop",
            },
            5,
            7,
        ),
        ({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 7}}, 5, 7),
    ],
)
def test_bedrocks_models_have_dialects_of_their_own(body: Body, given: int, made: int) -> None:
    usage = usage_of(body)
    assert (usage.provider, usage.input_tokens, usage.output_tokens) == ("aws", given, made)
    assert not usage.usage_missing


def test_cohere_is_counted_as_it_bills() -> None:
    usage = {
        "billed_units": {"input_tokens": 11.0, "output_tokens": 4.0},
        "tokens": {"input_tokens": 506, "output_tokens": 5},
        "cached_tokens": 448,
    }
    body = {"id": "co-1", "finish_reason": "COMPLETE", "message": {}, "usage": usage}
    assert parts(usage_of(body)) == {"input_tokens": 11, "output_tokens": 4}
    first_version = {"generation_id": "g", "text": "", "meta": usage}
    assert parts(usage_of(first_version)) == {"input_tokens": 11, "output_tokens": 4}


def test_a_ranking_of_cohere_is_billed_by_search_units() -> None:
    body = {"id": "r", "results": [], "meta": {"billed_units": {"search_units": 2}}}
    assert parts(usage_of(body)) == {"searches": 2}


def test_a_prompt_that_ollama_had_in_its_cache_is_unknown_and_not_zero() -> None:
    body = {"model": "llama3", "done": True, "eval_count": 79}
    usage = usage_of(body)
    assert (usage.input_tokens, usage.output_tokens, usage.usage_missing) == (0, 79, True)
    assert not usage_of({**body, "prompt_eval_count": 5}).usage_missing


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "type": "invalid_request_error"}},
        {"type": "error", "error": {"type": "overloaded_error"}},
        {"object": "error", "message": "no"},
        {"detail": "no"},
        {"message": "The provided model identifier is invalid."},
        [{"error": {"code": 400}}],
    ],
)
def test_an_error_used_nothing_and_nothing_of_it_is_missing(body: object) -> None:
    assert parts(usage_of(body)) == {"status": "error"}


@pytest.mark.parametrize(
    "nonsense",
    [
        *(None, 7, True, "", b"", "hello there, you", b"\x00\x01", b"\xff" * 99, object()),
        *([], {}, [[[]]], {1: 2}, {"usage": "many"}, {"choices": "?"}),
        *(b'{"choices": [', "data: {"),
    ],
)
def test_what_nobody_can_read_is_marked_and_raises_nothing(nonsense: object) -> None:
    assert parts(usage_of(nonsense)) == {"usage_missing": True}


@pytest.mark.parametrize("count", [-1, True, 1.5, "7", float("nan"), 10**30, None])
def test_what_cannot_be_a_count_is_unknown(count: object) -> None:
    usage = usage_of(chat({"prompt_tokens": count, "completion_tokens": 4}))
    assert (usage.input_tokens, usage.usage_missing) == (0, True)


class Raising:
    """A host's object whose attributes cannot be read."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def test_an_object_that_raises_when_it_is_read_is_marked() -> None:
    assert usage_of(Raising()).usage_missing


@dataclass
class Completion:
    """As SDKs without pydantic have it."""

    id: str
    model: str
    choices: list[object]
    usage: object


@dataclass
class Spent:
    prompt_tokens: int
    completion_tokens: int


def test_objects_are_read_by_their_attributes() -> None:
    usage = usage_of(Completion("c-1", "gpt-5", [Completion], Spent(3, 4)))
    assert (usage.id, usage.input_tokens, usage.output_tokens) == ("c-1", 3, 4)


def test_text_bytes_and_mappings_of_one_body_are_the_same() -> None:
    body = chat({"prompt_tokens": 3, "completion_tokens": 4}, model="gpt-5")
    expected = usage_of(body)
    text = json.dumps(body, indent=2)
    assert expected.output_tokens == 4
    assert usage_of(text) == expected
    assert usage_of(text.encode()) == expected
    assert usage_of(bytearray(text.encode())) == expected
    assert usage_of(OrderedDict(body)) == expected


@pytest.mark.parametrize(
    ("spelling", "provider"),
    [
        ("openai", "openai"),
        ("azure.ai.openai", "azure"),
        ("aws.bedrock", "aws"),
        ("gcp.vertex_ai", "google"),
        ("xai", "x-ai"),
        ("mistralai", "mistral"),
        ("My Gateway", "my-gateway"),
    ],
)
def test_a_given_provider_has_the_catalogues_name(spelling: str, provider: str) -> None:
    body = chat({"prompt_tokens": 1, "completion_tokens": 1}, model="gpt-5")
    assert usage_of(body, provider=spelling).provider == provider


@pytest.mark.parametrize("model", ["gpt-oss:20b", "meta-llama/Llama-3.3-70B", "deepseek-ai/R1"])
def test_who_serves_an_open_model_is_not_guessed(model: str) -> None:
    body = chat({"prompt_tokens": 1, "completion_tokens": 1}, model=model)
    assert usage_of(body).provider == ""


def test_a_given_dialect_decides_where_the_body_leaves_it_open() -> None:
    body = {"usage": {"input_tokens": 10, "output_tokens": 4, "cache_creation_input_tokens": 90}}
    assert usage_of(body, api="messages").input_tokens == 100
    assert usage_of(body, api="responses").input_tokens == 10


def test_no_text_of_a_response_is_in_what_is_said_of_it() -> None:
    body = chat({"prompt_tokens": 1, "completion_tokens": 1}, model="gpt-5")
    body["choices"][0]["message"]["content"] = "the canary sings"
    assert "canary" not in repr(usage_of(body))
    assert "canary" not in repr(usage_of({"error": {"message": "the canary sings"}}))
