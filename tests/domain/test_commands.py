"""Commands: budgets, blocks and policies take effect at once, in order, once."""

import json
from typing import Any

import pytest

from ledgers import DAY, HOUR, MINUTE, T0, Log, command, event
from tollway.contract.control import Decision, control_key
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.topics import partition_of

TODAY = "2026-03-10T00:00:00.000Z"


def test_a_budget_made_in_the_afternoon_counts_since_midnight() -> None:
    log = Log(now=T0 - 20 * HOUR)
    log.spend("7", at=T0 - 20 * HOUR).spend("0.4", at=T0 - 9 * HOUR).spend("0.5", at=T0 - MINUTE)
    log.set_budget()
    assert log.said() == [("warn", 70), ("warn", 90)]
    assert log.spent(start=TODAY) == "0.900000000000"


@pytest.mark.parametrize(
    ("window", "spent"),
    [
        ("hour", "1.000000000000"),
        ("day", "11.000000000000"),
        ("week", "111.000000000000"),
        ("month", "1111.000000000000"),
        ("total", "11111.000000000000"),
    ],
)
def test_a_new_budget_counts_what_its_window_holds_so_far(window: str, spent: str) -> None:
    at = [-40 * DAY, -5 * DAY, -30 * HOUR, -3 * HOUR, 0]
    log = Log(now=T0 + at[0])
    for cost, ago in zip(["10000", "1000", "100", "10", "1"], at, strict=True):
        log.spend(cost, at=T0 + ago)
    log.set_budget(window=window)
    start = None if window == "total" else log.decisions()[0].window_start
    assert log.spent(start=start) == spent


def test_a_new_rolling_budget_knows_when_each_part_was_spent() -> None:
    log = Log().spend("0.6").spend("0.6", at=T0 + 50 * MINUTE)
    log.set_budget(window="rolling:1h")
    assert log.in_force() == "block"
    assert parse_ms(log.decisions()[-1].expires_at or "") < T0 + 80 * MINUTE


def test_a_new_budget_over_sessions_counts_their_runs_and_their_children() -> None:
    log = Log().spend("0.5", session="p").spend("0.6", session="c", parent_session="p")
    log.set_budget(window="run", match={"session": "*"})
    assert log.in_force(session="p") == "block"
    assert log.in_force(session="c") == "allow"
    assert log.spent(session="p") == "1.100000000000"


def test_a_new_budget_counts_what_a_fast_clock_put_into_the_next_window() -> None:
    late = parse_ms("2026-03-10T23:58:00Z")
    log = Log(now=late).send(event(late + 4 * MINUTE, cost="0.4"), at=late).set_budget()
    log.spend("0.6", at=late + 5 * MINUTE)
    assert log.in_force() == "block"


def test_an_edit_keeps_what_was_spent() -> None:
    log = Log().set_budget().spend("0.5").set_budget(limit_usd="2")
    assert log.spent(start=TODAY) == "0.500000000000"


def test_raising_a_limit_unblocks_at_once() -> None:
    log = Log().set_budget().spend("1").set_budget(limit_usd="10")
    assert log.in_force() == "allow"
    assert log.said()[-1] == ("allow", None)


def test_raising_a_limit_a_little_warns_instead() -> None:
    log = Log().set_budget().spend("1").set_budget(limit_usd="1.05")
    assert log.in_force() == "warn"
    assert log.said()[-1] == ("warn", 90)


def test_a_raised_limit_fires_its_thresholds_again() -> None:
    log = Log().set_budget().spend("1").set_budget(limit_usd="10").spend("9")
    assert log.said()[-3:] == [("warn", 70), ("warn", 90), ("block", 100)]


def test_lowering_a_limit_blocks_at_once() -> None:
    log = Log().set_budget(limit_usd="10").spend("2").set_budget(limit_usd="1")
    assert log.in_force() == "block"


def test_lowering_a_limit_to_nothing_blocks_who_has_spent_nothing() -> None:
    log = Log().spend("0").set_budget().set_budget(limit_usd="0")
    assert log.in_force() == "block"


def test_an_edit_that_changes_no_limit_does_not_unblock() -> None:
    """An account of yesterday stands beside today's: it must not speak for it."""
    log = Log(now=T0 - DAY).set_budget().spend("5", at=T0 - DAY).spend("5", at=T0)
    log.set_budget(limit_usd="2")
    assert log.in_force() == "block"
    log.set_budget(limit_usd="2", thresholds_percent=[50, 100])
    assert log.in_force() == "block"


def test_an_edit_never_lifts_and_blocks_in_one_version() -> None:
    """Two decisions of one version would leave to chance which of them an agent obeys."""
    log = Log().set_budget().spend("1")
    for fields in (
        {"limit_usd": "1.5"},
        {"window": "week"},
        {"limit_usd": "0.5"},
        {"zone": "Asia/Tokyo"},
    ):
        before = len(log.decisions())
        log.set_budget(**fields)
        said = [d.action for d in log.decisions()[before:]]
        assert said in (["allow"], ["block"], ["warn", "warn", "block"]), fields


@pytest.mark.parametrize(
    "change", [{"window": "week"}, {"match": {"agent": "bot"}}, {"zone": "Asia/Tokyo"}]
)
def test_an_edit_of_what_is_counted_counts_from_the_history(change: dict[str, Any]) -> None:
    log = Log().set_budget().spend("2").set_budget(**change)
    match = change.get("match", {})
    assert log.in_force(**match) == "block"
    if match:
        # What stood before about the whole workspace is lifted.
        assert log.in_force() == "allow"
    log.close()
    assert len(log.books.accounts()) == 1


def test_a_warning_budget_that_is_made_to_block_blocks() -> None:
    log = Log().set_budget(action="warn").spend("2").set_budget(action="block")
    assert log.in_force() == "block"
    log.set_budget(action="warn")
    assert log.in_force() == "warn"


def test_deleting_a_budget_lifts_it_and_buries_its_accounts() -> None:
    log = Log().set_budget(match={"agent": "*"}).spend("1").spend("1", agent="cat")
    log.tell(command("budget.delete", budget_id="cap"))
    assert (log.in_force(agent="bot"), log.in_force(agent="cat")) == ("allow", "allow")
    assert [log.books.of(kind) for kind in ("account", "document", "decision")] == [[], [], []]
    log.spend("5")
    assert log.close().books.of("account") == []


def test_deleting_what_is_not_there_changes_nothing() -> None:
    log = Log().tell(command("budget.delete", budget_id="nope"))
    assert (log.verdicts, log.letters) == ([], [])


@pytest.mark.parametrize("subject", [{}, {"agent": "bot"}, {"session": "s", "model": "m"}])
def test_a_person_blocks_and_unblocks(subject: dict[str, str]) -> None:
    log = Log().tell(command("block", subject=subject, reason="runaway"))
    block = log.decisions("manual")[-1]
    assert (block.action, block.subject, block.message) == (
        "block",
        subject,
        "blocked by ann: runaway",
    )
    assert (block.cause.offset, block.cause.event_id, block.expires_at) == (-1, "c1", None)
    log.tell(command("unblock", subject=subject))
    assert log.in_force("manual", **subject) == "allow"
    assert log.books.of("decision") == []


def test_unblocking_lifts_every_rule_about_exactly_that_subject() -> None:
    log = Log().set_budget(match={"agent": "*"}).spend("1").spend("1", agent="cat")
    log.tell(
        command("block", subject={"agent": "bot"}), command("unblock", subject={"agent": "bot"})
    )
    assert log.in_force("manual", agent="bot") == "allow"
    assert log.in_force(agent="bot") == "allow"
    assert log.in_force(agent="cat") == "block"


def test_who_was_unblocked_stays_so_for_the_window() -> None:
    log = Log().set_budget().spend("1").tell(command("unblock", subject={})).spend("1")
    assert log.in_force() == "allow"
    log.spend("1", at=T0 + DAY)
    assert log.in_force() == "block"


@pytest.mark.parametrize(
    ("expires_at", "said"),
    [
        ("2026-03-10T18:00:00Z", "2026-03-10T18:00:00.000Z"),
        ("2026-03-10T18:00:00+05:30", "2026-03-10T12:30:00.000Z"),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_a_persons_block_lapses_when_they_say(expires_at: str, said: str | None) -> None:
    log = Log().spend("0").tell(command("block", expires_at=expires_at))
    assert log.decisions("manual")[-1].expires_at == said


@pytest.mark.parametrize("expires_at", ["2026-03-10T11:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_block_that_is_over_already_blocks_nobody(expires_at: str) -> None:
    log = Log().spend("0").tell(command("block", expires_at=expires_at))
    assert (log.verdicts, log.letters) == ([], [])


def test_a_person_may_shorten_their_own_block() -> None:
    log = Log().spend("0").tell(command("block"), command("block", expires_at=format_ms(T0 + HOUR)))
    log.now = T0 + 2 * HOUR
    assert log.in_force("manual") == "allow"


def test_a_policy_sets_a_runs_budget_and_raising_it_unblocks() -> None:
    log = Log().tell(command("policy.set", policy={"run_budget_usd": "1"})).spend("2", session="s")
    assert log.in_force("detector:budget_exceeded", agent="bot", session="s") == "block"
    log.tell(command("policy.set", policy={"run_budget_usd": "10"}))
    assert log.in_force("detector:budget_exceeded", agent="bot", session="s") == "allow"
    log.spend("9", session="s")
    assert log.in_force("detector:budget_exceeded", agent="bot", session="s") == "block"


def test_turning_a_detector_off_lifts_what_it_said() -> None:
    log = Log().tell(command("policy.set", policy={"run_budget_usd": "1"})).spend("2", session="s")
    policy = {"run_budget_usd": "1", "detectors": {"off": ["budget_exceeded"]}}
    log.tell(command("policy.set", policy=policy))
    assert log.in_force("detector:budget_exceeded", agent="bot", session="s") == "allow"


def test_one_budget_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollway.domain.commanding.MAX_BUDGETS_PER_WORKSPACE", 2)
    log = Log().set_budget(id="a").set_budget(id="b").set_budget(id="c").set_budget(id="a")
    (letter,) = log.letters
    assert "has 2 budgets, the most there may be" in letter.detail
    assert len(log.books.of("document")) == 2


def test_a_command_of_another_partitions_workspace_is_refused() -> None:
    """It would open the workspace here, and usage sent here by mistake would be booked twice."""
    home = partition_of("acme", 12)
    log = Log(partition=(home + 1) % 12, partitions=12).set_budget().spend("5")
    (letter,) = log.letters
    assert f"lives in partition {home}" in letter.detail
    assert (len(log.misrouted), log.charges()) == (1, [])


def test_a_command_that_is_in_the_books_is_passed_over() -> None:
    log = Log().set_budget().restart()
    log.commands = 0
    log.tell(command("budget.delete", budget_id="cap"))
    assert log.books.of("document") == ["document|acme|budget|cap"]


def test_a_decision_of_a_command_is_newer_than_all_usage_before_it() -> None:
    log = Log().set_budget().spend("1").set_budget(limit_usd="2").spend("1")
    versions: dict[str, tuple[int, int, int]] = {}
    for decision in log.verdicts:
        assert isinstance(decision, Decision)
        key = control_key(decision)
        assert versions.get(key, decision.version) <= decision.version
        versions[key] = decision.version
    assert [d.version for d in log.decisions()[-4:]] == [(1, 0, 1)] + [(1, 1, 1)] * 3


def test_budgets_of_a_thousand_subjects_are_lifted_in_order_of_their_names() -> None:
    log = Log().set_budget(match={"agent": "*"})
    for name in ("c", "a", "b"):
        log.spend("1", agent=name)
    log.tell(command("budget.delete", budget_id="cap"))
    assert [d.subject["agent"] for d in log.decisions()[-3:]] == ["a", "b", "c"]


def test_a_document_is_kept_as_it_was_written() -> None:
    log = Log().set_budget(limit_usd="$1.50")
    entry = json.loads(log.books.live["document|acme|budget|cap"])
    assert entry["document"]["limit_usd"] == "$1.50"
