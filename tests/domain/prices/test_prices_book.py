"""Workspaces' own prices, tool prices, the estimator: which one applies, and for how long."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.command import PriceOverride, PricePerMillion, ToolPrice
from tollway.contract.usage import UsageEvent
from tollway.domain.prices import (
    BEGINNING_MS,
    END_MS,
    MAX_PRICES_PER_WORKSPACE,
    Catalogue,
    PriceBook,
)
from tollway.domain.usage import Usage

DAY_MS = 86_400_000
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_MS = 1_795_348_800_000


@pytest.fixture
def book(catalogue: Catalogue) -> PriceBook:
    return PriceBook(catalogue)


def override(
    model: str = "gpt-4o",
    *,
    provider: str | None = None,
    start: datetime = NOON,
    end: datetime | None = None,
    usd_in: str = "1",
    usd_out: str = "2",
    searches: str | None = None,
) -> PriceOverride:
    price = PricePerMillion(
        input=Decimal(usd_in),
        output=Decimal(usd_out),
        per_thousand_searches=None if searches is None else Decimal(searches),
    )
    return PriceOverride(
        provider=provider, model=model, effective_from=start, effective_to=end, price=price
    )


def tool_price(usd: str, *, connection: str | None = None, start: datetime = NOON) -> ToolPrice:
    return ToolPrice(tool="search", connection=connection, effective_from=start, usd_per_call=usd)


def input_rate(book: PriceBook, at_ms: int, model: str = "gpt-4o", workspace: str = "w") -> int:
    rates = book.rates_for(workspace, "openai", model, None, at_ms)
    assert rates is not None
    return rates.base.input


def test_without_commands_the_catalogue_prices(book: PriceBook) -> None:
    rates = book.rates_for("w", "openai", "gpt-4o", None, NOON_MS)
    assert rates is not None
    assert (rates.source, rates.base.input) == ("genai-prices", 2_500_000)
    assert book.revision == 0


def test_an_override_begins_and_ends_with_its_dates(book: PriceBook) -> None:
    book.set_override("w", override(end=NOON + timedelta(days=1)))
    before = book.rates_for("w", "openai", "gpt-4o", None, NOON_MS - 1)
    during = book.rates_for("w", "openai", "gpt-4o", None, NOON_MS)
    after = book.rates_for("w", "openai", "gpt-4o", None, NOON_MS + DAY_MS)
    assert before is not None
    assert during is not None
    assert after is not None
    assert [r.source for r in (before, during, after)] == [
        "genai-prices",
        "override",
        "genai-prices",
    ]
    assert (before.valid_from_ms, before.valid_to_ms) == (BEGINNING_MS, NOON_MS)
    assert (during.valid_from_ms, during.valid_to_ms) == (NOON_MS, NOON_MS + DAY_MS)
    assert (after.valid_from_ms, after.valid_to_ms) == (NOON_MS + DAY_MS, END_MS)
    assert during.version == "2026-11-22T12:00:00+00:00 openai/gpt-4o"


def test_what_takes_effect_later_wins_whatever_was_said_last(book: PriceBook) -> None:
    book.set_override("w", override(start=NOON + timedelta(hours=1), usd_in="3"))
    book.set_override("w", override(start=NOON, usd_in="1"))
    assert input_rate(book, NOON_MS + 3_600_000) == 3_000_000
    assert input_rate(book, NOON_MS + 3_599_999) == 1_000_000


def test_the_same_moment_said_twice_is_replaced(book: PriceBook) -> None:
    book.set_override("w", override(usd_in="1"))
    book.set_override("w", override(usd_in="7"))
    assert input_rate(book, NOON_MS) == 7_000_000
    assert book.revision == 2


def test_a_workspace_prices_for_itself_alone(book: PriceBook) -> None:
    book.set_override("w", override())
    assert input_rate(book, NOON_MS, workspace="other") == 2_500_000


def test_an_override_holds_for_every_name_of_its_model(book: PriceBook) -> None:
    book.set_override("w", override("gpt-4o"))
    assert input_rate(book, NOON_MS, "gpt-4o-2024-08-06") == 1_000_000
    assert input_rate(book, NOON_MS, "GPT-4o") == 1_000_000
    # Models of their own in the list.
    assert input_rate(book, NOON_MS, "gpt-4o-2024-05-13") == 5_000_000
    assert input_rate(book, NOON_MS, "gpt-4o-mini") == 150_000
    assert input_rate(book, NOON_MS, "gpt-4o-audio-preview") == 2_500_000


def test_an_override_gives_an_unlisted_model_a_price(book: PriceBook) -> None:
    assert book.rates_for("w", "ollama", "house-model", None, NOON_MS) is None
    book.set_override("w", override("house-model", start=NOON))
    for name in ("house-model", "house-model-2026-01-01", "House-Model-latest"):
        rates = book.rates_for("w", "ollama", name, None, NOON_MS)
        assert rates is not None, name
        assert rates.base.input == 1_000_000
    assert book.rates_for("w", "ollama", "house-model-large", None, NOON_MS) is None
    assert book.rates_for("w", "ollama", "house-model", None, NOON_MS - 1) is None


def test_an_override_for_a_provider_is_for_that_provider_by_any_spelling(book: PriceBook) -> None:
    book.set_override("w", override("gpt-4o", provider="azure"))
    for provider in ("azure", "azure_openai", "az.ai.openai"):
        rates = book.rates_for("w", provider, "gpt-4o", None, NOON_MS)
        assert rates is not None
        assert rates.source == "override"
    assert input_rate(book, NOON_MS) == 2_500_000


def test_an_override_for_the_maker_prices_events_that_name_no_provider(book: PriceBook) -> None:
    book.set_override("w", override("gpt-4o", provider="openai"))
    rates = book.rates_for("w", None, "gpt-4o", None, NOON_MS)
    assert rates is not None
    assert rates.source == "override"


def test_parts_that_an_override_leaves_out_cost_what_their_whole_does(book: PriceBook) -> None:
    book.set_override("w", override(usd_in="1", usd_out="2"))
    rates = book.rates_for("w", "openai", "gpt-4o", None, NOON_MS)
    assert rates is not None
    base = rates.base
    assert [base.cache_read, base.cache_write, base.cache_write_1h, base.input_audio] == [
        1_000_000
    ] * 4
    assert [base.reasoning, base.output_audio, base.output_image] == [2_000_000] * 3


def test_searches_that_an_override_leaves_out_cost_what_is_listed(book: PriceBook) -> None:
    book.set_override("w", override())
    book.set_override("w", override("gpt-4.1", searches="4"))
    searched = UsageEvent(id="e", time="", workspace="w", agent="a", searches=1000)
    left_out = book.rates_for("w", "openai", "gpt-4o", None, NOON_MS)
    said = book.rates_for("w", "openai", "gpt-4.1", None, NOON_MS)
    assert left_out is not None
    assert said is not None
    assert left_out.cost_pico(Usage(searched)) == 10 * 10**12
    assert said.cost_pico(Usage(searched)) == 4 * 10**12
    assert left_out.covers(Usage(searched))


def test_an_override_of_nothing_is_a_price_because_a_person_said_so(book: PriceBook) -> None:
    book.set_override("w", override("llama", usd_in="0", usd_out="0"))
    rates = book.rates_for("w", "ollama", "llama", None, NOON_MS)
    assert rates is not None
    assert rates.base.input == 0


def test_a_rate_with_many_decimals_stays_exact_until_the_end(book: PriceBook) -> None:
    book.set_override("w", override(usd_in="0.0000001", usd_out="0.123456789"))
    rates = book.rates_for("w", "openai", "gpt-4o", None, NOON_MS)
    assert rates is not None
    used = UsageEvent(
        id="e", time="", workspace="w", agent="a", input_tokens=10_000_000, output_tokens=1_000
    )
    # 10⁷ tokens at 10⁻¹³ dollars and 10³ at 123,456.789 pico-dollars.
    assert rates.cost_pico(Usage(used)) == 1_000_000 + 123_456_789


def test_deleting_forgets_all_dates_of_one_provider_and_model(book: PriceBook) -> None:
    book.set_override("w", override(start=NOON))
    book.set_override("w", override(start=NOON + timedelta(days=1)))
    book.set_override("w", override("gpt-4.1"))
    book.delete_override("w", None, "GPT-4o")
    assert input_rate(book, NOON_MS + 2 * DAY_MS) == 2_500_000
    assert input_rate(book, NOON_MS, "gpt-4.1") == 1_000_000
    assert book.revision == 4


def test_deleting_what_is_not_there_changes_nothing(book: PriceBook) -> None:
    book.delete_override("w", None, "gpt-4o")
    assert book.revision == 0


def test_a_workspace_has_so_many_prices_and_no_more(book: PriceBook) -> None:
    for at in range(MAX_PRICES_PER_WORKSPACE):
        assert book.set_override("w", override(f"m{at}"))
    assert not book.set_override("w", override("one-more"))
    assert book.set_override("w", override("m0", usd_in="9"))
    assert book.set_override("other", override("one-more"))
    assert book.rates_for("w", None, "one-more", None, NOON_MS) is None
    for at in range(MAX_PRICES_PER_WORKSPACE):
        assert book.set_tool_price("w", tool_price("1", connection=f"c{at}"))
    assert not book.set_tool_price("w", tool_price("1", connection="one-more"))
    assert book.set_tool_price("w", tool_price("2", connection="c0"))


def test_a_tool_costs_what_its_connection_says_else_what_the_tool_does(book: PriceBook) -> None:
    assert book.tool_cost("w", "search", "crm", NOON_MS) is None
    book.set_tool_price("w", tool_price("0.01"))
    book.set_tool_price("w", tool_price("0.02", connection="crm"))
    assert book.tool_cost("w", "search", "crm", NOON_MS) == (20_000_000_000, NOON_MS, END_MS)
    assert book.tool_cost("w", "search", "web", NOON_MS) == (10_000_000_000, NOON_MS, END_MS)
    assert book.tool_cost("w", "search", None, NOON_MS) == (10_000_000_000, NOON_MS, END_MS)
    assert book.tool_cost("w", "fetch", None, NOON_MS) is None
    assert book.tool_cost("other", "search", None, NOON_MS) is None


def test_a_tools_price_changes_on_its_date(book: PriceBook) -> None:
    book.set_tool_price("w", tool_price("0.01"))
    book.set_tool_price("w", tool_price("0.03", start=NOON + timedelta(days=2)))
    book.set_tool_price("w", tool_price("0.02", connection="crm", start=NOON + timedelta(days=1)))
    assert book.tool_cost("w", "search", None, NOON_MS - 1) is None
    first = (10_000_000_000, NOON_MS, NOON_MS + 2 * DAY_MS)
    assert book.tool_cost("w", "search", None, NOON_MS) == first
    # The connection's own price ends the tool's earlier there.
    until_own = (10_000_000_000, NOON_MS, NOON_MS + DAY_MS)
    assert book.tool_cost("w", "search", "crm", NOON_MS) == until_own
    own = (20_000_000_000, NOON_MS + DAY_MS, END_MS)
    assert book.tool_cost("w", "search", "crm", NOON_MS + DAY_MS) == own


class FlatGuess:
    """Answers one price for models that begin with a letter, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, provider: str | None, model: str, at_ms: int, /) -> PricePerMillion | None:
        self.asked.append(at_ms)
        if not model.startswith("guess"):
            return None
        return PricePerMillion(input=Decimal(5), output=Decimal(6))


def test_the_estimator_is_asked_last_and_for_a_whole_day(catalogue: Catalogue) -> None:
    guess = FlatGuess()
    book = PriceBook(catalogue, guess, "house-7")
    rates = book.rates_for("w", None, "guess-me", None, NOON_MS)
    assert rates is not None
    assert (rates.source, rates.version) == ("estimate", "house-7 ?/guess-me")
    assert rates.base.input == 5_000_000
    midnight = NOON_MS - DAY_MS // 2
    assert (rates.valid_from_ms, rates.valid_to_ms) == (midnight, midnight + DAY_MS)
    assert guess.asked == [midnight]
    assert book.rates_for("w", None, "no-idea", None, NOON_MS) is None
    assert input_rate(book, NOON_MS) == 2_500_000
    book.set_override("w", override("guess-me"))
    mine = book.rates_for("w", None, "guess-me", None, NOON_MS)
    assert mine is not None
    assert mine.source == "override"
    assert len(guess.asked) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 20), st.integers(1, 9)), min_size=1, max_size=6
    ),
    st.integers(-2, 45),
)
def test_rates_hold_exactly_until_another_price_begins(
    catalogue: Catalogue, entries: list[tuple[int, int, int]], day: int
) -> None:
    book = PriceBook(catalogue)
    for start, length, usd in entries:
        begin = NOON + timedelta(days=start)
        end = begin + timedelta(days=length)
        book.set_override("w", override(start=begin, end=end, usd_in=str(usd)))
    at_ms = NOON_MS + day * DAY_MS
    rates = book.rates_for("w", "openai", "gpt-4o", None, at_ms)
    assert rates is not None
    assert rates.valid_from_ms <= at_ms < rates.valid_to_ms
    for other_day in range(-2, 45):
        other_ms = NOON_MS + other_day * DAY_MS
        if rates.valid_from_ms <= other_ms < rates.valid_to_ms:
            assert input_rate(book, other_ms) == rates.base.input
