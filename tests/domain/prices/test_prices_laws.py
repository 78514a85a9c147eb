"""Laws of costs: each token billed once, never below nothing, never cheaper for more."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Rates, RateTable, clamp, is_inconsistent
from tollway.domain.usage import Usage


def event(seconds: float = 0.0, **counts: int) -> UsageEvent:
    given = {"id": "e", "time": "2025-12-01T00:00:00Z", "workspace": "w", "agent": "a"}
    return msgspec.convert({**given, "seconds": seconds, **counts}, UsageEvent)


counts = st.integers(min_value=0, max_value=10**6)
any_counts = st.fixed_dictionaries(
    dict.fromkeys(
        [
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "cache_write_1h_tokens",
            "reasoning_tokens",
            "input_audio_tokens",
            "output_audio_tokens",
            "cache_read_audio_tokens",
            "input_image_tokens",
            "output_image_tokens",
            "searches",
        ],
        counts,
    )
)
rate = st.integers(min_value=0, max_value=10**9)
# By name, because a compiled class has no list of its slots.
KINDS = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
)


@st.composite
def tables(draw: st.DrawFn) -> RateTable:
    table = RateTable()
    for kind in KINDS:
        setattr(table, kind, draw(rate))
    return table


@st.composite
def some_rates(draw: st.DrawFn) -> Rates:
    rates = Rates(0, 1, "test", "1", draw(st.sampled_from([1, 1, 10, 10**7])), draw(tables()))
    if draw(st.booleans()):
        rates.add_step(draw(counts), draw(tables()))
    rates.per_search = draw(rate)
    return rates


@given(some_rates(), any_counts)
def test_no_event_costs_less_than_nothing(rates: Rates, given_counts: dict[str, int]) -> None:
    assert rates.cost_pico(Usage(event(**given_counts))) >= 0


@given(some_rates(), any_counts)
def test_clamping_changes_no_cost(rates: Rates, given_counts: dict[str, int]) -> None:
    before = event(**given_counts)
    after = clamp(before)
    assert not is_inconsistent(Usage(after))
    assert rates.cost_pico(Usage(after)) == rates.cost_pico(Usage(before))


@given(any_counts)
def test_each_token_is_billed_exactly_once(given_counts: dict[str, int]) -> None:
    """With every rate 1, a cost is the number of tokens, whatever the parts say."""
    ones = RateTable()
    for kind in KINDS:
        setattr(ones, kind, 1)
    rates = Rates(0, 1, "test", "1", 1, ones)
    for by_kind in (False, True):
        rates.reasoning_apart = by_kind
        cost = rates.cost_pico(Usage(event(**given_counts)))
        assert cost == given_counts["input_tokens"] + given_counts["output_tokens"]


@given(tables(), any_counts)
def test_the_short_way_and_the_long_way_agree(
    table: RateTable, given_counts: dict[str, int]
) -> None:
    table.reasoning = table.output_audio = table.output_image = table.output
    table.input_audio = table.input_image = table.input
    table.cache_read_audio = table.cache_read
    short = Rates(0, 1, "test", "1", 1, table)
    long = Rates(0, 1, "test", "1", 1, table)
    # Every event is beyond the first step of context size, and there is no other.
    long.base_up_to = -1
    asked = clamp(event(**given_counts | {"searches": 0}))
    # Images that overlap with cached tokens are billed as cached; without a rate apart, either.
    assert short.cost_pico(Usage(asked)) == long.cost_pico(Usage(asked))


@given(tables(), any_counts, st.sampled_from(["input_tokens", "output_tokens"]), counts)
def test_more_tokens_are_never_cheaper_inside_one_step(
    table: RateTable, given_counts: dict[str, int], whole: str, more: int
) -> None:
    rates = Rates(0, 1, "test", "1", 1, table)
    # Parts stay what they are; consistent first, because a larger whole lets cut parts grow back.
    before = clamp(event(**given_counts))
    after = msgspec.structs.replace(before, **{whole: getattr(before, whole) + more})
    assert rates.cost_pico(Usage(after)) >= rates.cost_pico(Usage(before))


@pytest.mark.parametrize(
    ("whole", "part", "kind"),
    [
        ("input_tokens", "cache_read_tokens", "cache_read"),
        ("input_tokens", "cache_write_tokens", "cache_write"),
        ("input_tokens", "input_audio_tokens", "input_audio"),
        ("input_tokens", "input_image_tokens", "input_image"),
        ("output_tokens", "reasoning_tokens", "reasoning"),
        ("output_tokens", "output_audio_tokens", "output_audio"),
        ("output_tokens", "output_image_tokens", "output_image"),
    ],
)
@given(table=tables(), plain=counts, of_kind=counts)
def test_a_cost_is_the_sum_of_its_kinds(
    whole: str, part: str, kind: str, table: RateTable, plain: int, of_kind: int
) -> None:
    rates = Rates(0, 1, "test", "1", 1, table)
    cost = rates.cost_pico(Usage(event(**{whole: plain + of_kind, part: of_kind})))
    parent = table.input if whole == "input_tokens" else table.output
    assert cost == plain * parent + of_kind * getattr(table, kind)


@given(some_rates(), any_counts, st.floats(min_value=0, max_value=2**31))
def test_narrowing_the_range_changes_no_cost(
    rates: Rates, given_counts: dict[str, int], seconds: float
) -> None:
    rates.per_hour = 360_000_000_000
    narrowed = Rates.within(rates, 0, 0)
    asked = event(**given_counts, seconds=seconds)
    assert (narrowed.valid_from_ms, narrowed.valid_to_ms) == (0, 0)
    assert narrowed.cost_pico(Usage(asked)) == rates.cost_pico(Usage(asked))
    assert narrowed.covers(Usage(asked)) == rates.covers(Usage(asked))
