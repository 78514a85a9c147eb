"""A budget made at 15:00 counts what was spent since its window began; an edit keeps its spend."""

from tollway.contract.control import Decision
from tollway.contract.money import parse_usd
from tollway.contract.subjects import Subject, encode_subject
from tollway.domain.accounts import Account, Purse
from tollway.domain.budgets import USD, Rule
from tollway.domain.calendar import FOREVER_MS, window_bounds
from tollway.domain.ledger import Ledger
from tollway.domain.matching import subject_of
from tollway.domain.spend import DIMENSIONS_OF_LANE
from tollway.domain.verdicts import lift
from tollway.domain.workspaces import Workspace

__all__ = ["backfill", "lift_fallen", "recount", "rejudge", "standing_in"]


def backfill(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    """Opens the accounts of a new budget with what its subjects have spent in the window so far.

    Exact for windows that begin on a quarter of an hour, as all calendar windows do. A budget
    over sessions counts what each run has spent since it began, where it names no dimension but
    `session` and `agent`; with others it counts from now on.
    """
    if "session" in rule.dimensions:
        if set(rule.dimensions) <= {"session", "agent"}:
            _from_runs(ledger, workspace, rule)
    else:
        _from_lanes(ledger, workspace, rule)
    _open_if_forbidden(ledger, workspace, rule)
    for _, purse in _purses(workspace, rule):
        for _, account in sorted(purse.accounts.items()):
            ledger.booker.judge(account)


def _from_lanes(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    now_ms = ledger.log_ms
    start_ms = now_ms - rule.rolling_ms
    if not rule.rolling_ms:
        start_ms, _ = window_bounds(rule.window, rule.zone, now_ms)
    for lane in workspace.lanes.values():
        values: dict[str, str] = dict(zip(DIMENSIONS_OF_LANE, lane.dimensions, strict=True))
        subject = subject_of(rule, values)
        if subject is None:
            continue
        for at_ms, cost, tokens, calls in lane.pieces(start_ms, now_ms):
            _open(ledger, workspace, rule, subject, at_ms).add(cost, tokens, calls, at_ms)


def _from_runs(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    for run in workspace.runs.values():
        for session in workspace.lineage(run.session):
            subject = subject_of(rule, {"session": session, "agent": run.agent})
            if subject is not None:
                account = _open(ledger, workspace, rule, subject, ledger.log_ms)
                account.add(run.watch.spent_pico, run.tokens, run.calls, ledger.log_ms)


def _open_if_forbidden(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    """A limit of nothing is reached before its first event, where subject and time are known."""
    if rule.limit == 0 and ledger.log_ms and len(rule.fixed) == len(rule.dimensions):
        _open(ledger, workspace, rule, dict(rule.fixed), ledger.log_ms)


def _open(
    ledger: Ledger, workspace: Workspace, rule: Rule, subject: Subject, at_ms: int
) -> Account:
    account = workspace.purse(rule, subject).find(at_ms)
    # The window that holds the present has not ended when the budget is made, nor a later one.
    assert account is not None
    ledger.booker.keep(account)
    return account


def _purses(workspace: Workspace, rule: Rule) -> list[tuple[tuple[str, ...], Purse]]:
    """In the order of their subjects: a restored ledger opens them in another one."""
    return sorted(item for item in workspace.purses.items() if item[0][0] == rule.budget.id)


def rejudge(ledger: Ledger, workspace: Workspace, rule: Rule) -> None:
    """After an edit: what was blocked and is now within the limit is allowed at once."""
    _open_if_forbidden(ledger, workspace, rule)
    message = f"budget {rule.budget.id!r} was changed: its limit is {rule.text(rule.limit)}"
    held = set[str]()
    for _, purse in _purses(workspace, rule):
        purse.rule = rule
        if purse.accounts:
            held.add(encode_subject(purse.subject))
            _rejudge_purse(ledger, purse, message)
    # Of accounts that left early it is known what they had spent when they were judged.
    orphans = [
        decision
        for decision in standing_in(ledger, workspace)
        if decision.rule == rule.name
        and encode_subject(decision.subject) not in held
        and not _holds_under(rule, decision)
    ]
    for decision in orphans:
        ledger.verdicts.withdraw(decision)
    lift_fallen(ledger, orphans, message)


def _holds_under(rule: Rule, decision: Decision) -> bool:
    """Whether a budget decides no less of the same spend now."""
    spent = decision.spent or "0"
    amount = parse_usd(spent) if rule.unit == USD else int(spent)
    return any(
        amount >= rule.mark(percent) and rule.action_at(percent) in {decision.action, "block"}
        for percent in rule.percents
    )


def standing_in(ledger: Ledger, workspace: Workspace) -> list[Decision]:
    """In the order of their keys: a restored ledger holds them in another one."""
    standing = ledger.verdicts.standing.items()
    own = [item for item in standing if item[1].decision.workspace == workspace.name]
    return [piece.decision for _, piece in sorted(own) if piece.expires_ms > ledger.log_ms]


def _rejudge_purse(ledger: Ledger, purse: Purse, message: str) -> None:
    """All windows of a subject share one verdict: those that have not ended say what it is."""
    rule, now_ms = purse.rule, ledger.log_ms
    held = ledger.verdicts.stands(rule.workspace, purse.subject, rule.name, now_ms)
    if held is not None:
        ledger.verdicts.withdraw(held)
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
    if held is not None:
        lift_fallen(ledger, [held], message)


def recount(ledger: Ledger, workspace: Workspace) -> None:
    """After corrections downwards: what is within its limit again is allowed."""
    for _, purse in sorted(workspace.purses.items()):
        if any(_has_fallen(ledger, account) for account in purse.accounts.values()):
            name = purse.rule.budget.id
            _rejudge_purse(ledger, purse, f"budget {name!r}: a correction lowered what was spent")


def _has_fallen(ledger: Ledger, account: Account) -> bool:
    """Whether what an account has said last holds no longer."""
    rule = account.rule
    if account.is_below_fired() or not rule.rolling_ms:
        return account.is_below_fired()
    # It has armed itself anew as it fell; what it said before stands on.
    held = ledger.verdicts.stands(rule.workspace, account.subject, rule.name, ledger.log_ms)
    percent = None if held is None else held.threshold_percent
    return percent is not None and account.amount() < rule.mark(percent)


def lift_fallen(ledger: Ledger, withdrawn: list[Decision], message: str) -> None:
    """Lifts those withdrawn decisions that no other has taken the place of."""
    for held in withdrawn:
        now_ms = ledger.log_ms
        if ledger.verdicts.stands(held.workspace, held.subject, held.rule, now_ms) is None:
            ledger.verdicts.decide(lift(held, message, ledger.moment), FOREVER_MS, now_ms)
