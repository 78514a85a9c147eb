"""A session counts what it spends as it happens, says so in time, and stops at its limit."""

import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tollway import meter
from tollway.producers.calls import Asked, Usage, begin
from tollway.producers.local.notices import Notice
from tollway.producers.local.session import Session
from tollway.producers.testing import Meter, metered

pytestmark = pytest.mark.filterwarnings("ignore::tollway.producers.errors.SpendWarning")

# gpt-4o's list price: 2.50 dollars a million input tokens, 10.00 a million output tokens.
CALL = {"provider": "openai", "model": "gpt-4o", "input_tokens": 400, "output_tokens": 100}
CALL_USD = Decimal("0.002")


@pytest.fixture(autouse=True)
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def spend(dollars: str, **more: object) -> None:
    meter.record(kind="tool", tool="spender", cost=dollars, **more)


# --- what is counted ----------------------------------------------------------------------------


def test_what_runs_inside_is_attributed_and_counted(metering: Meter) -> None:
    with meter.session("5.00", agent="researcher", user="ann", tags={"team": "a"}) as s:
        meter.record(**CALL)

    call, outcome = metering.events()
    assert (call.agent, call.session, call.user, call.tags) == (
        "researcher",
        s.id,
        "ann",
        {"team": "a"},
    )
    assert (outcome.kind, outcome.success, outcome.session) == ("outcome", True, s.id)
    assert (s.spent, s.remaining) == (CALL_USD, Decimal("4.998"))


def test_outside_of_it_nothing_is_counted() -> None:
    with meter.session("5.00") as s:
        pass
    meter.record(**CALL)
    with meter.session("5.00"):
        meter.record(**CALL)

    assert s.spent == 0


def test_money_is_exact_where_floats_are_not() -> None:
    with meter.session("0.30") as s:
        for _ in range(3):
            spend("0.10")

    assert s.spent == Decimal("0.30")
    assert s.remaining == 0


def test_the_same_call_reported_twice_counts_once(metering: Meter) -> None:
    with meter.session("1") as s:
        for _ in range(3):
            meter.record(id="chatcmpl-1", source="openai", **CALL)

    assert s.spent == CALL_USD
    # Both go out: the worker finds the duplicate too, whichever process it came from.
    assert sum(event.kind == "llm" for event in metering.events()) == 3


def test_a_model_without_a_price_is_told_and_never_silently_free() -> None:
    with meter.session("1") as s:
        for _ in range(2):
            meter.record(model="house-model-7", provider="acme", input_tokens=1_000)

    report = s.report()
    assert (report["total_spent"], report["unpriced_events"]) == (Decimal(0), 2)
    assert [warning["type"] for warning in report["warnings"]] == ["unpriced"]
    assert report["events"][0]["cost"] is None


def test_a_model_without_a_price_can_count_at_its_providers_dearest_rates() -> None:
    with meter.session("1000", unpriced="conservative") as s:
        meter.record(model="gpt-99-unheard-of", provider="openai", input_tokens=1000)

    # No less than gpt-4o would have cost.
    assert s.spent >= Decimal("0.0025")


def test_a_price_of_ones_own_counts() -> None:
    meter.set_price("house-model-8", input="1.00", output="2.00", provider="acme")
    with meter.session() as s:
        meter.record(model="house-model-8", provider="acme", input_tokens=500, output_tokens=250)

    assert s.spent == Decimal("0.001")


def test_audio_counts_at_a_price_of_its_own() -> None:
    meter.set_price("house-ear-8", input="1.00", output="2.00", input_audio="11.00")
    with meter.session() as s:
        meter.record(model="house-ear-8", input_tokens=500, input_audio_tokens=100)
    assert s.spent == Decimal("0.0015")


def test_a_session_counts_also_what_the_outbox_has_no_room_for(metering: Meter) -> None:
    metering.outbox.room = 0
    with meter.session("1") as s:
        meter.record(**CALL)

    assert s.spent == CALL_USD
    assert meter.stats().dropped == {"queue_full": 2}


def test_a_session_without_an_agent_leaves_it_to_the_framework_and_the_settings(
    metering: Meter,
) -> None:
    with meter.session("1"):
        begin(lambda: Asked(framework="crewai", found={"agent": "planner"})).used(Usage())
        begin(lambda: Asked(framework="openai")).used(Usage())
    with meter.session("1", agent="mine"):
        begin(lambda: Asked(framework="crewai", found={"agent": "planner"})).used(Usage())

    agents = [event.agent for event in metering.events() if event.kind == "llm"]
    assert agents == ["planner", "bot", "mine"]


def test_a_session_counts_also_where_nobody_said_which_workspace() -> None:
    with metered(workspace="", agent="bot"), meter.session("1") as s:
        meter.record(**CALL)
        assert meter.stats().dropped == {"invalid": 1}

    assert s.spent == CALL_USD


# --- limits ------------------------------------------------------------------------------------


def test_the_limit_itself_may_be_spent_and_nothing_after_it() -> None:
    with meter.session("1.00") as s:
        spend("0.99")
        s.check()
        spend("0.01")
        with pytest.raises(meter.CallBlocked) as raised:
            s.check()

    assert raised.value.reason == "hard_limit"
    assert raised.value.spent == "1.000000000000"
    assert raised.value.limit == "1.000000000000"


def test_what_is_spent_over_the_limit_stays_in_the_books() -> None:
    with meter.session("1.00") as s:
        spend("0.50")
        spend("0.60")
        with pytest.raises(meter.CallBlocked) as raised:
            meter.check(model="gpt-4o")
        with pytest.raises(meter.CallBlocked):
            meter.check(model="gpt-4o-mini")

    assert s.spent == Decimal("1.10")
    assert s.remaining == 0
    assert raised.value.spent == "1.100000000000"
    assert s.report()["terminated_by"] == "hard_limit"


def test_a_jump_over_both_limits_tells_both_in_order() -> None:
    told: list[str] = []

    def tell(session: Session, notice: Notice) -> None:
        told.append(notice.type)

    with meter.session("1.00", on_soft_limit=tell, on_hard_limit=tell):
        spend("0.50")
        assert told == []
        spend("0.60")
        spend("0.60")

    assert told == ["soft_limit", "hard_limit"]


def test_the_soft_limit_is_warned_of_once_where_the_host_asks() -> None:
    with meter.session("1.00") as s:
        spend("0.95")
        with pytest.warns(meter.SpendWarning, match="90 %") as said:
            s.check()
        with warnings.catch_warnings(action="error"):
            s.check()

    assert [warning.filename for warning in said] == [__file__]


def test_a_reserve_is_kept_for_finishing() -> None:
    with meter.session("1.00", reserve=0.2) as s:
        spend("0.80")
        with pytest.raises(meter.CallBlocked):
            s.check()
        s.use_reserve()
        s.check()
        spend("0.20")
        with pytest.raises(meter.CallBlocked):
            s.check()


def test_would_exceed_asks_before_something_is_spent() -> None:
    with meter.session("1.00") as s:
        spend("0.40")
        assert not s.would_exceed("0.60")
        assert s.would_exceed("0.600000000001")


def test_the_cheaper_model_is_named_past_a_threshold() -> None:
    with meter.session("1.00") as s:
        assert s.model("gpt-4o", "gpt-4o-mini") == "gpt-4o"
        spend("0.80")
        assert s.model("gpt-4o", "gpt-4o-mini") == "gpt-4o-mini"
        assert s.model("gpt-4o", "gpt-4o-mini", at=0.9) == "gpt-4o"


def test_without_a_budget_everything_is_counted_and_nothing_stopped() -> None:
    with meter.session() as s:
        spend("1000000")
        s.check()

    assert (s.remaining, s.report()["budget"], s.would_exceed("9000000000")) == (None, None, False)


@pytest.mark.parametrize("budget", ["", "-1", "NaN", "Infinity", "five", 5.0, True, "1e400"])
def test_a_budget_that_is_none_is_an_error_at_once(
    budget: Any,  # noqa: ANN401 (what a type checker would refuse as well)
) -> None:
    with pytest.raises(ValueError, match="budget"):
        meter.session(budget)


@pytest.mark.parametrize("share", [0.955, 0.0, 1.5, -0.1, True])
def test_a_soft_limit_is_a_share_in_whole_percents(share: float) -> None:
    with pytest.raises(ValueError, match="soft"):
        meter.session("1", soft=share)


def test_an_unknown_option_is_named_with_those_that_there_are() -> None:
    misspelt: dict[str, Any] = {"on_softlimit": print}  # Any: a type checker would refuse it
    with pytest.raises(TypeError, match=r"on_softlimit; it knows .*on_soft_limit"):
        meter.session("1", **misspelt)


# --- children ----------------------------------------------------------------------------------


def test_a_childs_spend_counts_to_its_parents_while_it_happens() -> None:
    with meter.session("1.00") as parent:
        child = parent.child(budget="0.50", agent="helper")
        grandchild = child.child()
        with child, grandchild:
            spend("0.25")
            assert [s.spent for s in (grandchild, child, parent)] == [Decimal("0.25")] * 3
        spend("0.10")

    assert (child.spent, parent.spent) == (Decimal("0.25"), Decimal("0.35"))


def test_two_children_together_never_have_more_than_their_parent() -> None:
    with meter.session("1.00") as parent:
        first, second = parent.child(budget="1.00"), parent.child(budget="1.00")
        with first:
            spend("0.70")
        with second:
            assert second.remaining == Decimal("0.30")
            spend("0.30")
            with pytest.raises(meter.CallBlocked) as raised:
                second.check()

    assert parent.spent == 1
    assert raised.value.decision is not None
    assert raised.value.decision.subject == {"session": parent.id}


def test_a_childs_limit_stops_the_child_alone() -> None:
    with meter.session("1.00") as parent:
        with parent.child(budget="0.10") as child:
            spend("0.20")
            with pytest.raises(meter.CallBlocked):
                child.check()
        parent.check()


def test_a_childs_events_name_the_parent(metering: Meter) -> None:
    with meter.session(session="run-1") as parent, parent.child(session="run-2"):
        meter.record(**CALL)

    assert (metering.events()[0].session, metering.events()[0].parent_session) == ("run-2", "run-1")
