"""The traps of the dialects that are not OpenAI's, one by one."""

import pytest

from made_responses import Body, generated, message, parts
from tollway.producers.responses import usage_of


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
