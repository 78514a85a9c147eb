"""What holds of any response: errors, nonsense, objects, and who answered."""

import json
from collections import OrderedDict
from dataclasses import dataclass

import pytest

from made_responses import chat, parts
from tollway.producers.responses import usage_of


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
