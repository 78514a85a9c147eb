"""What a span's attributes say was used, in every dialect that is known; needs no OpenTelemetry."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.producers.otel import names
from tollway.producers.otel.names import kind_of, tool_of, who
from tollway.producers.otel.reading import usage_of_span


def test_new_names_of_the_conventions_say_a_whole_call() -> None:
    usage = usage_of_span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.response.model": "gpt-5-2025-08-07",
            "gen_ai.response.id": "resp_1",
            "openai.response.service_tier": "flex",
            "gen_ai.usage.input_tokens": 2087,
            "gen_ai.usage.output_tokens": 124,
            "gen_ai.usage.cache_read.input_tokens": 2048,
            "gen_ai.usage.cache_write.input_tokens": 8,
            "gen_ai.usage.reasoning.output_tokens": 64,
            "gen_ai.usage.audio.input_tokens": 3,
            "gen_ai.usage.audio.output_tokens": 4,
            "gen_ai.usage.image.input_tokens": 5,
        },
        "opentelemetry.instrumentation.openai_v2",
    )

    assert usage.fields() == {
        "id": "resp_1",
        "source": "openai",
        "provider": "openai",
        "model": "gpt-5-2025-08-07",
        "service_tier": "flex",
        "input_tokens": 2087,
        "output_tokens": 124,
        "cache_read_tokens": 2048,
        "cache_write_tokens": 8,
        "reasoning_tokens": 64,
        "input_audio_tokens": 3,
        "output_audio_tokens": 4,
        "input_image_tokens": 5,
    }


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.system": "anthropic",
            "gen_ai.usage.prompt_tokens": 120,
            "gen_ai.usage.completion_tokens": 30,
            "gen_ai.usage.cache_read_input_tokens": 60,
            "gen_ai.usage.cache_creation_input_tokens": 40,
        },
        {
            "gen_ai.provider.name": "anthropic",
            "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.output_tokens": 30,
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_creation.input_tokens": 40,
        },
        {
            "llm.provider": "anthropic",
            "llm.token_count.prompt": 120,
            "llm.token_count.completion": 30,
            "llm.token_count.total": 150,
            "llm.token_count.prompt_details.cache_read": 60,
            "llm.token_count.prompt_details.cache_write": 40,
        },
    ],
    ids=["OpenLLMetry", "the conventions before the renaming", "OpenInference"],
)
def test_every_dialect_says_the_same(attributes: dict[str, object]) -> None:
    usage = usage_of_span(attributes, "any")

    assert usage.provider == "anthropic"
    assert (usage.input_tokens, usage.output_tokens) == (120, 30)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (60, 40)
    assert not usage.usage_missing


def test_a_new_name_wins_over_the_old_one_beside_it() -> None:
    usage = usage_of_span(
        {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.prompt_tokens": 10}, "any"
    )

    assert usage.input_tokens == 12


def _cached(**more: object) -> dict[str, object]:
    return {
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.usage.input_tokens": 500,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.cache_read.input_tokens": 100,
        **more,
    }


def test_an_emitter_known_to_leave_cached_tokens_out_is_corrected() -> None:
    told = _cached(**{"gen_ai.usage.total_tokens": 540})

    corrected = usage_of_span(told, "opentelemetry.instrumentation.bedrock")
    believed = usage_of_span(told, "opentelemetry.instrumentation.anthropic")

    assert (corrected.input_tokens, believed.input_tokens) == (600, 500)


def test_a_total_that_only_adds_up_with_the_cached_tokens_says_that_they_were_left_out() -> None:
    assert usage_of_span(_cached(**{"gen_ai.usage.total_tokens": 640}), "any").input_tokens == 600
    assert usage_of_span(_cached(**{"gen_ai.usage.total_tokens": 540}), "any").input_tokens == 500
    assert usage_of_span(_cached(), "any").input_tokens == 500


def test_a_part_larger_than_its_whole_was_left_out_of_it() -> None:
    usage = usage_of_span(
        {
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 10,
            "gen_ai.usage.cache_read.input_tokens": 1000,
            "gen_ai.usage.reasoning.output_tokens": 11,
        },
        "any",
    )

    assert (usage.input_tokens, usage.output_tokens) == (1012, 21)


def test_what_a_provider_bills_beside_the_totals_is_added_to_them() -> None:
    usage = usage_of_span(
        {
            "gen_ai.provider.name": "anthropic",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_write.input_tokens": 50,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 30,
            "anthropic.usage.compaction.input_tokens": 7,
            "anthropic.usage.compaction.output_tokens": 3,
        },
        "com.anthropic.sdk.python",
    )

    assert (usage.input_tokens, usage.output_tokens) == (107, 23)
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (50, 30)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"gen_ai.usage.input_tokens": 5},
        {"gen_ai.usage.output_tokens": 5},
        {"gen_ai.usage.input_tokens": -1, "gen_ai.usage.output_tokens": 5},
        {"gen_ai.usage.input_tokens": True, "gen_ai.usage.output_tokens": 5},
        {"gen_ai.usage.input_tokens": "5", "gen_ai.usage.output_tokens": 5},
        {"gen_ai.usage.input_tokens": 1.5, "gen_ai.usage.output_tokens": 5},
        {"gen_ai.usage.input_tokens": 2**60, "gen_ai.usage.output_tokens": 5},
    ],
)
def test_usage_that_is_not_said_is_missing_and_never_zero(attributes: dict[str, object]) -> None:
    assert usage_of_span(attributes, "any").usage_missing


def test_an_embedding_has_no_output_to_miss() -> None:
    assert not usage_of_span(
        {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 8}, "any"
    ).usage_missing
    assert not usage_of_span(
        {"openinference.span.kind": "EMBEDDING", "llm.token_count.prompt": 8}, "any"
    ).usage_missing


def test_a_whole_number_as_a_float_is_a_count() -> None:
    usage = usage_of_span(
        {"gen_ai.usage.input_tokens": 5.0, "gen_ai.usage.output_tokens": 2.0}, "any"
    )

    assert (usage.input_tokens, usage.output_tokens, usage.usage_missing) == (5, 2, False)


def test_the_requested_model_stands_in_for_a_served_one_that_nobody_knows() -> None:
    told = {"gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "unknown"}

    assert usage_of_span(told, "any").model == "gpt-4o"


def test_a_response_id_needs_a_provider_to_be_unique() -> None:
    with_provider = usage_of_span(
        {"gen_ai.response.id": "r-1", "gen_ai.system": "anthropic"}, "any"
    )
    without = usage_of_span({"gen_ai.response.id": "r-1"}, "any")

    assert (with_provider.id, with_provider.source) == ("r-1", "anthropic")
    assert without.source == ""


class _Watched(Mapping[str, object]):
    """Attributes that note which of them were asked for, and refuse to be walked through."""

    def __init__(self, held: dict[str, object]) -> None:
        self._held = held
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> object:
        self.asked.add(name)
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("somebody walked through the attributes")

    def __len__(self) -> int:
        return len(self._held)


def test_content_is_never_asked_for() -> None:
    attributes = _Watched(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.input.messages": "secret",
            "gen_ai.tool.call.arguments": "secret",
            "input.value": "secret",
        }
    )

    usage_of_span(attributes, "any")
    who(attributes, kind_of(attributes))
    tool_of(attributes, "span")

    words = ("messages", "prompt.", "completion.", "arguments", "result", "value", "instructions")
    assert len(attributes.asked) > 20
    assert [name for name in attributes.asked if any(word in name for word in words)] == []


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.text(max_size=3), max_size=2),
)
_NAMES = st.sampled_from(
    [
        *(name for known in names.COUNTS.values() for name in known),
        *names.RESPONSE_ID,
        *names.SERVED_MODEL,
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "openinference.span.kind",
    ]
)


@given(st.dictionaries(_NAMES, _VALUES), st.text(max_size=8))
def test_whatever_an_emitter_writes_is_read_without_a_fault(
    attributes: dict[str, object], scope: str
) -> None:
    usage = usage_of_span(attributes, scope)

    kind_of(attributes)
    assert usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
    assert usage.reasoning_tokens <= usage.output_tokens


_COUNTS = st.integers(min_value=0, max_value=10**6)


@given(_COUNTS, _COUNTS, _COUNTS, _COUNTS)
def test_an_inclusive_emitter_that_gives_a_total_is_believed(
    fresh: int, cached: int, output: int, reasoning: int
) -> None:
    told = fresh + cached, output + reasoning

    usage = usage_of_span(
        {
            "gen_ai.usage.input_tokens": told[0],
            "gen_ai.usage.output_tokens": told[1],
            "gen_ai.usage.total_tokens": told[0] + told[1],
            "gen_ai.usage.cache_read.input_tokens": cached,
            "gen_ai.usage.reasoning.output_tokens": reasoning,
        },
        "any",
    )

    assert (usage.input_tokens, usage.output_tokens) == told
