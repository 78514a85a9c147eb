"""The traps of OpenAI's dialects and of who speaks them, one by one."""

import pytest

from made_responses import Body, answer, chat, message, parts
from tollway.producers.responses import usage_of


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
