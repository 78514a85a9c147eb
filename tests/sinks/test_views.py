"""The views for people: exact, over FINAL, with nothing left out."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stored import stored
from tollway.contract.tables import TABLES
from tollway.sinks.clickhouse import Client

NOON = "2026-03-10T12:00:00.000Z"
VIEWS = (
    "spend_daily",
    "chargeback",
    "anomalies",
    "completed_tasks",
    "audit_hours",
    "audit_accounts",
)
Row = dict[str, object]


def rows(client: Client, query: str) -> list[tuple[object, ...]]:
    """Money as text, so that every digit is compared."""
    return [tuple(row) for row in client.query(query).result_rows]


def snapshot(client: Client) -> dict[str, list[tuple[object, ...]]]:
    return {view: rows(client, f"SELECT * FROM {view} ORDER BY ALL") for view in VIEWS}


def empty(client: Client) -> None:
    for table in TABLES:
        client.command(f"TRUNCATE TABLE {table}")


def test_a_late_event_adds_to_the_day_and_a_newer_version_replaces(embedded: Client) -> None:
    stored(
        embedded,
        "spend",
        {"cost": "0.000000000003", "version": 2, "events": 3, "input_tokens": 30},
        {"cost": "0.000000000001", "version": 1, "events": 1, "input_tokens": 10},
        # Opened again by a late event, and once more in the next life of the log.
        {"cost": "0.000000000010", "opened_at_offset": 99, "version": 100},
        {"cost": "0.000000000100", "opened_at_offset": 99, "generation": 2, "version": 2 << 48},
    )

    assert rows(
        embedded,
        "SELECT toString(day), agent, toString(cost), events, input_tokens FROM spend_daily",
    ) == [("2026-03-10", "bot", "0.000000000113", 5, 30)]


def test_spend_of_nobody_in_particular_is_a_row_of_its_own(embedded: Client) -> None:
    stored(
        embedded,
        "charges",
        {"id": "1", "customer": "acme", "cost": "1.000000000001"},
        {"id": "2", "cost": "2.000000000002"},
        {"id": "3", "cost": "3.000000000003", "connection": "crm"},
    )

    assert rows(
        embedded,
        "SELECT customer, connection, toString(month), toString(cost) FROM chargeback ORDER BY ALL",
    ) == [
        ("", "", "2026-03-01", "2.000000000002"),
        ("", "crm", "2026-03-01", "3.000000000003"),
        ("acme", "", "2026-03-01", "1.000000000001"),
    ]


def test_an_event_priced_later_is_no_longer_counted_as_unpriced(embedded: Client) -> None:
    stored(
        embedded,
        "charges",
        {"id": "1", "cost": "0", "price_state": "unpriced"},
        {"id": "2", "cost": "0", "price_state": "unpriced"},
        {"id": "1#price@3", "kind": "adjustment", "adjusts": "1", "cost": "0.5"},
    )

    assert rows(embedded, "SELECT toString(cost), calls, unpriced_events FROM chargeback") == [
        ("0.5", 2, 1)
    ]


def test_a_free_call_charged_later_was_never_unpriced(embedded: Client) -> None:
    adjustment = {"kind": "adjustment", "price_source": "tool"}
    stored(
        embedded,
        "charges",
        {"id": "1", "cost": "0", "kind": "tool", "tool": "serp", "price_state": "free"},
        {"id": "1#price@3", "adjusts": "1", "cost": "0.5", "tool": "serp", **adjustment},
        {"id": "2", "cost": "0", "kind": "tool", "model": "m", "price_state": "unpriced"},
        {"id": "2#price@3", "adjusts": "2", "cost": "0.5", "model": "m", **adjustment},
        {"id": "3", "cost": "0", "price_state": "unpriced"},
    )

    assert rows(embedded, "SELECT toString(cost), calls, unpriced_events FROM chargeback") == [
        ("1", 3, 1)
    ]


def test_docs_prices_finds_the_calls_that_a_tools_price_did_not_reach(embedded: Client) -> None:
    page = (Path(__file__).parents[2] / "docs" / "prices.md").read_text()
    _, _, rest = page.partition("```sql")
    query, _, _ = rest.partition("```")
    paying = {"workspace": "acme", "tool": "serp"}
    call = {**paying, "kind": "tool", "price_state": "free", "cost": "0"}
    stored(
        embedded,
        "charges",
        {**call, "id": "1"},
        {**paying, "id": "1#price@3", "kind": "adjustment", "adjusts": "1"},
        {**call, "id": "1", "source": "other", "customer": "k"},
        {**call, "id": "2"},
        {**call, "id": "3"},
        {**call, "id": "4", "time": "2026-02-28T23:59:59.999Z"},
        {**call, "id": "5", "tool": "mail"},
        {**call, "id": "6", "workspace": "beta"},
        {**call, "id": "7", "price_state": "priced"},
    )

    assert rows(embedded, query) == [("bot", "", "", 2), ("bot", "k", "", 1)]


def test_a_finding_says_what_its_event_and_its_run_cost(embedded: Client) -> None:
    stored(embedded, "findings", {"event_id": "e2", "time": "2026-03-10T12:01:00.000Z"})
    run = {"session": "run-1"}
    stored(
        embedded,
        "charges",
        {"id": "e1", "cost": "1", **run},
        {"id": "e2", "cost": "2", "time": "2026-03-10T12:01:00.000Z", **run},
        {"id": "e3", "cost": "4", "time": "2026-03-10T12:02:00.000Z", **run},
        {"id": "e4", "cost": "8", "session": "run-2"},
        {"id": "e5", "cost": "16", "agent": "other", **run},
    )

    assert rows(
        embedded,
        "SELECT detector, toString(event_cost), toString(run_cost_until),"
        " toString(run_cost_after) FROM anomalies",
    ) == [("retry_loop", "2", "3", "4")]


def test_a_finding_whose_charges_are_not_here_yet_is_shown(embedded: Client) -> None:
    stored(embedded, "findings", {})

    assert rows(embedded, "SELECT id, toString(event_cost) FROM anomalies") == [("f1", "0")]


def test_completed_tasks_pay_for_those_that_failed(embedded: Client) -> None:
    def ended(session: str, success: bool | None) -> Row:
        return {
            "id": f"{session}:outcome",
            "kind": "outcome",
            "cost": "0",
            "session": session,
            "success": success,
        }

    stored(
        embedded,
        "charges",
        {"id": "1", "session": "a", "task": "triage", "cost": "1"},
        {"id": "2", "session": "a", "task": "triage", "cost": "2"},
        ended("a", success=True),
        {"id": "3", "session": "b", "task": "triage", "cost": "4"},
        ended("b", success=False),
        {"id": "4", "session": "c", "task": "triage", "cost": "8"},
        {"id": "5", "session": "d", "task": "triage", "cost": "16"},
        ended("d", success=True),
        {"id": "6", "session": "e", "cost": "32"},
        {"id": "7", "cost": "64"},
    )

    assert rows(
        embedded,
        "SELECT task, toString(cost), runs, completed, failed, toString(cost_per_completed)"
        " FROM completed_tasks ORDER BY ALL",
    ) == [("", "32", 1, 0, 0, None), ("triage", "31", 4, 2, 1, "15.5")]


def test_an_hour_balances_where_its_charges_are_its_spend(embedded: Client) -> None:
    stored(
        embedded,
        "charges",
        {"id": "1", "cost": "0.000000000001", "time": "2026-03-10T12:59:59.999Z"},
        {"id": "2", "cost": "2.000000000002", "time": "2026-03-10T13:00:00.000Z"},
        {"id": "3", "cost": "5", "workspace": "only charged"},
    )
    stored(
        embedded,
        "spend",
        {"cost": "0.000000000001", "minute": "2026-03-10T12:59:00.000Z"},
        {"cost": "2.000000000001", "minute": "2026-03-10T13:00:00.000Z"},
        {"cost": "7", "workspace": "only spent"},
    )

    assert rows(
        embedded,
        "SELECT workspace, toHour(hour), toString(charges), toString(spend), toString(difference)"
        " FROM audit_hours ORDER BY workspace, hour",
    ) == [
        ("default", 12, "0.000000000001", "0.000000000001", "0"),
        ("default", 13, "2.000000000002", "2.000000000001", "0.000000000001"),
        ("only charged", 12, "5", "0", "5"),
        ("only spent", 12, "0", "7", "-7"),
    ]


minutes = st.integers(0, 3).map(lambda minute: f"2026-03-10T12:{20 * minute % 60:02d}:00.000Z")
agents = st.sampled_from(["bot", "clerk"])
money = st.integers(0, 10**15).map(lambda pico: f"{pico // 10**12}.{pico % 10**12:012d}")
charge_rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["e1", "e2", "e3"]),
            "agent": agents,
            "cost": money,
            "session": st.sampled_from(["", "run-1"]),
            "customer": st.sampled_from(["", "acme"]),
            "time": minutes,
        }
    ),
    max_size=6,
    # One event, one charge: where a key comes back, the row is the same.
    unique_by=lambda row: (row["id"], row["agent"], row["time"]),
)
spend_rows = st.lists(
    st.fixed_dictionaries(
        {
            "minute": minutes,
            "agent": agents,
            "cost": money,
            "version": st.integers(1, 5),
            "opened_at_offset": st.integers(0, 1),
        }
    ),
    max_size=6,
    unique_by=lambda row: (row["minute"], row["agent"], row["opened_at_offset"], row["version"]),
)
account_rows = st.lists(
    st.fixed_dictionaries({"spent": money, "version": st.integers(1, 5)}),
    max_size=4,
    unique_by=lambda row: row["version"],
)
BUDGET = '{"budget": {"id": "cap"}}'


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(charges=charge_rows, spend=spend_rows, accounts=account_rows, data=st.data())
def test_replaying_batches_in_any_order_any_number_of_times_changes_no_view(
    embedded: Client,
    charges: Sequence[Row],
    spend: Sequence[Row],
    accounts: Sequence[Row],
    data: st.DataObject,
) -> None:
    batches: list[tuple[str, Sequence[Row]]] = [
        ("commands", [{"document": BUDGET}]),
        ("findings", [{}, {"id": "f2", "agent": "clerk"}]),
        *(("charges", charges[at : at + 2]) for at in range(0, len(charges), 2)),
        *(("spend", spend[at : at + 2]) for at in range(0, len(spend), 2)),
        *(("accounts", [row]) for row in accounts),
    ]
    empty(embedded)
    for table, some in batches:
        stored(embedded, table, *some)
    once = snapshot(embedded)

    empty(embedded)
    for table, some in data.draw(st.permutations(batches + batches[::2])):
        stored(embedded, table, *some)

    assert snapshot(embedded) == once
