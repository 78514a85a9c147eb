"""A budget made at 15:00 counts what was spent since its window began; an edit keeps its spend."""

from tollway.contract.subjects import Subject
from tollway.domain.budgets import Account, Purse, Rule
from tollway.domain.calendar import FOREVER_MS, window_bounds
from tollway.domain.ledger import Ledger
from tollway.domain.spend import DIMENSIONS_OF_LANE
from tollway.domain.verdicts import lift
from tollway.domain.workspaces import Workspace

__all__ = ["backfill", "rejudge"]


def backfill(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    """Opens the accounts of a new budget with what its subjects have spent in the window so far.

    Exact for windows that begin on a quarter of an hour, as all calendar windows do. A budget
    over sessions counts what each run has spent since it began, where it names no dimension but
    `session` and `agent`; with others it counts from now on.
    """
    if "session" in rule.dimensions:
        if set(rule.dimensions) <= {"session", "agent"}:
            _from_runs(ledger, workspace, rule)
        return
    now_ms = ledger.log_ms
    if rule.rolling_ms:
        start, end = now_ms - rule.rolling_ms, FOREVER_MS
    else:
        start, end = window_bounds(rule.window, rule.zone, now_ms)
    for lane in workspace.lanes.values():
        values = dict(zip(DIMENSIONS_OF_LANE, lane.dimensions, strict=True))
        subject = _matching(rule, values)
        if subject is None:
            continue
        cost, tokens, calls = lane.since(start, end)
        if cost or tokens or calls:
            _open(ledger, workspace, rule, subject).add(cost, tokens, calls, now_ms)
    _judge_all(ledger, workspace, rule)


def _from_runs(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    for run in workspace.runs.values():
        for session in workspace.lineage(run.session):
            subject = _matching(rule, {"session": session, "agent": run.agent})
            if subject is not None:
                account = _open(ledger, workspace, rule, subject)
                account.add(run.watch.spent_pico, run.tokens, run.calls, ledger.log_ms)
    _judge_all(ledger, workspace, rule)


def _matching(rule: Rule, values: dict[str, str]) -> Subject | None:
    subject: Subject = {}
    for name in rule.dimensions:
        value = values.get(name, "")
        if not value or rule.fixed.get(name, value) != value:
            return None
        subject[name] = value
    return subject


def _open(ledger: Ledger, workspace: Workspace, rule: Rule, subject: Subject) -> Account:
    account = workspace.purse(rule, subject, ledger.partition).find(ledger.log_ms)
    # The window that holds the present has not ended when the budget is made.
    assert account is not None
    ledger.booker.keep(account)
    return account


def _judge_all(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    for (budget_id, _), purse in workspace.purses.items():
        if budget_id == rule.budget.id:
            for account in purse.accounts.values():
                ledger.booker.judge(account)


def rejudge(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    """After an edit: what was blocked and is now within the limit is allowed at once."""
    for (budget_id, _), purse in workspace.purses.items():
        if budget_id != rule.budget.id:
            continue
        purse.rule = rule
        _rejudge_purse(ledger, workspace, purse)


def _rejudge_purse(ledger: Ledger, workspace: Workspace, purse: Purse) -> None:
    """All windows of a subject share one verdict: it is lifted once, then the windows speak."""
    rule = purse.rule
    held = ledger.verdicts.stands(workspace.name, purse.subject, rule.name, ledger.log_ms)
    if held is not None:
        message = f"budget {rule.budget.id!r} was changed: its limit is {rule.text(rule.limit)}"
        ledger.verdicts.decide(lift(held, message, ledger.moment), FOREVER_MS, ledger.log_ms)
    # By time, not in the order in which they were opened: a restored ledger opens them anew.
    for _, account in sorted(purse.accounts.items()):
        account.rule = rule
        before = account.fired
        account.rearm()
        after = account.fired
        ledger.booker.keep(account)
        if after and (held is not None or after > before):
            # Its state under the new limit: the highest threshold reached speaks.
            account.set_fired(after - 1)
            ledger.booker.judge(account)
