"""What happens in a session: responses and tools, loops, hooks, outcomes, reports."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from tollway import meter
from tollway.producers.local.books import MAX_NAMES
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


def again_and_again(call: Callable[[], object]) -> None:
    for _ in range(100):
        call()


# --- responses, tools --------------------------------------------------------------------------

RESPONSE = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500},
}


def test_wrap_says_what_a_response_cost_and_what_is_left() -> None:
    with meter.session("1.00") as s:
        wrapped = s.wrap(RESPONSE)
        again = s.wrap(RESPONSE)

    assert wrapped.response is RESPONSE
    assert (wrapped.cost, wrapped.spent, wrapped.remaining) == (
        CALL_USD,
        CALL_USD,
        Decimal("0.998"),
    )
    assert (wrapped.duplicate, again.duplicate, again.spent) == (False, True, CALL_USD)


def test_wrap_raises_with_the_response_once_the_limit_is_passed() -> None:
    with meter.session("0.001") as s, pytest.raises(meter.CallBlocked) as raised:
        s.wrap(RESPONSE)

    # It is paid for: the host may still use it.
    assert raised.value.result is RESPONSE
    assert s.spent == CALL_USD


def test_wrap_never_breaks_on_what_is_no_response() -> None:
    with meter.session("1.00") as s:
        for nonsense in (None, 7, b"\xff", {"usage": "much"}, object()):
            s.wrap(nonsense)

    assert s.report()["usage_missing"] == 5


def test_track_gives_the_result_back_and_counts_its_cost(metering: Meter) -> None:
    with meter.session("1.00") as s:
        rows = s.track(["a", "b"], cost="0.01", tool="serp", connection="serpapi")

    assert rows == ["a", "b"]
    assert s.spent == Decimal("0.01")
    event = metering.events()[0]
    assert (event.kind, event.tool, event.connection) == ("tool", "serp", "serpapi")


def test_a_tool_costs_a_fixed_amount_or_what_a_function_of_the_call_says() -> None:
    with meter.session("1.00") as s:

        @s.track_tool("0.01")
        def lookup(word: str) -> str:
            return word.upper()

        @s.track_tool(lambda arguments, result: f"0.00{arguments['pages']}", tool="scraper")
        def scrape(url: str, pages: int = 1) -> list[str]:
            return [url] * pages

        assert lookup("a") == "A"
        assert scrape("x", pages=5) == ["x"] * 5

    assert s.report()["breakdown"]["tools"]["by_name"] == {
        "lookup": {"total": Decimal("0.01"), "calls": 1},
        "scraper": {"total": Decimal("0.005"), "calls": 1},
    }


def test_a_tool_is_not_run_once_the_limit_is_reached() -> None:
    ran: list[int] = []
    with meter.session("0.02") as s:

        @s.track_tool(cost="0.01")
        def lookup() -> None:
            ran.append(1)

        lookup()
        lookup()
        with pytest.raises(meter.CallBlocked):
            lookup()

    assert (len(ran), s.spent) == (2, Decimal("0.02"))


# --- detectors ---------------------------------------------------------------------------------


def test_the_same_tool_arguments_and_result_again_and_again_are_a_loop() -> None:
    heard: list[str] = []
    with meter.session("1.00", on_loop_detected=lambda s, notice: heard.append(notice.level)) as s:

        @s.track_tool()
        def search(query: str) -> str:
            return f"no result for {query}"

        with pytest.raises(meter.CallBlocked) as raised:
            again_and_again(lambda: search("the same"))

    assert raised.value.reason == "retry_loop"
    assert "block" in heard
    assert s.report()["terminated_by"] == "retry_loop"


def test_other_arguments_each_time_are_no_loop() -> None:
    with meter.session("1.00") as s:

        @s.track_tool()
        def search(query: str) -> str:
            return f"{query} is found"

        for number in range(100):
            search("word " + "x" * number)

    assert s.report()["warnings"] == []


def test_a_host_may_let_a_stopped_session_go_on() -> None:
    with meter.session("1.00") as s:

        @s.track_tool()
        def poll() -> str:
            return "not yet"

        with pytest.raises(meter.CallBlocked):
            again_and_again(poll)
        s.resume()
        poll()


def test_detectors_can_be_turned_off() -> None:
    from tollway.contract.command import DetectorParameters

    with meter.session("1.00", detectors=DetectorParameters(off=["retry_loop"])) as s:

        @s.track_tool()
        def poll() -> str:
            return "not yet"

        for _ in range(100):
            poll()

    assert s.report()["terminated_by"] is None


def test_a_hook_that_raises_does_not_reach_the_host(caplog: pytest.LogCaptureFixture) -> None:
    def broken(session: Session, notice: Notice) -> None:
        raise ZeroDivisionError("secret text")

    with meter.session("1.00", on_hard_limit=broken):
        spend("2.00")

    assert "ZeroDivisionError" in caplog.text
    assert "secret text" not in caplog.text


def test_on_decision_hears_the_sessions_own_and_the_workers(metering: Meter) -> None:
    heard: list[tuple[str, str]] = []
    with meter.session(
        "1.00",
        session="run-9",
        on_decision=lambda decision: heard.append((decision.action, decision.reason)),
    ):
        spend("2.00")
        metering.block(session="run-9")

    assert heard == [
        ("warn", "soft_limit"),
        ("block", "hard_limit"),
        ("block", "budget_exceeded"),
    ]


# --- outcomes and reports ----------------------------------------------------------------------


def test_a_run_that_an_exception_leaves_has_failed(metering: Meter) -> None:
    with pytest.raises(KeyError), meter.session("1"):
        raise KeyError
    with meter.session("1") as s:
        s.outcome(success=False)

    assert [event.success for event in metering.events()] == [False, False]
    assert s.report()["success"] is False


def test_a_report_holds_every_event_and_balances() -> None:
    with meter.session("1.00", agent="researcher", session="run-1") as s:
        meter.record(**CALL)
        spend("0.10")

    report = s.report()
    assert report["breakdown"]["llm"] == {
        "total": CALL_USD,
        "calls": 1,
        "by_name": {"gpt-4o": {"total": CALL_USD, "calls": 1}},
    }
    assert (report["session_id"], report["agent"], report["budget"]) == (
        "run-1",
        "researcher",
        Decimal("1.00"),
    )
    costs = [event["cost"] for event in report["events"]]
    assert sum(cost for cost in costs if cost is not None) == report["total_spent"]
    assert s.state()["total_cost"] == report["total_spent"] == Decimal("0.102")


def test_names_past_the_limit_are_told_together() -> None:
    with meter.session() as s:
        for number in range(MAX_NAMES + 10):
            spend("0.01", id=str(number), source="x")
            meter.record(kind="tool", tool=f"tool-{number}", cost="0.01")

    tools = s.report()["breakdown"]["tools"]
    assert len(tools["by_name"]) <= MAX_NAMES + 1
    assert tools["by_name"]["others"]["calls"] == 11
    assert tools["total"] == s.spent


def test_the_report_of_the_session_around_is_at_hand() -> None:
    with meter.session("1", session="run-5"):
        spend("0.25")
        assert meter.report()["total_spent"] == Decimal("0.25")


def test_outside_of_sessions_with_brokers_there_is_no_report() -> None:
    with pytest.raises(RuntimeError, match=r"meter\.session"):
        meter.report()
