"""Commands: how budgets, prices, policies and people's blocks change a ledger."""

from pydantic import ValidationError

from tollway.contract.command import (
    MAX_BUDGETS_PER_WORKSPACE,
    BlockSubject,
    Budget,
    Command,
    DeleteBudget,
    DeletePrice,
    Policy,
    SetBudget,
    SetPolicy,
    SetPrice,
    SetToolPrice,
    UnblockSubject,
    command_adapter,
)
from tollway.contract.control import Decision
from tollway.contract.deadletter import DeadLetter, Reason, dead_letter
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.subjects import Subject, encode_subject
from tollway.contract.topics import COMMANDS, partition_of
from tollway.domain.backfill import backfill, lift_fallen, rejudge, standing_in
from tollway.domain.budgets import Rule
from tollway.domain.calendar import FOREVER_MS
from tollway.domain.detectors import profile_of
from tollway.domain.documents import (
    BUDGET,
    POLICY,
    PRICE,
    TOOL_PRICE,
    Refused,
    forget,
    keep,
    price_name,
    price_prefix,
    tool_name,
)
from tollway.domain.ledger import Ledger
from tollway.domain.repricing import reprice, reprice_tool
from tollway.domain.verdicts import identity, lift
from tollway.domain.workspaces import Workspace

__all__ = ["obey"]


def obey(
    ledger: Ledger, key: bytes | None, value: bytes | None, offset: int, stamp_ms: int
) -> None:
    """Applies the command at `offset`; an unreadable one becomes a dead letter.

    Called between two usage records while the books are closed: the position then says after
    which usage offset it took effect. Those in the books already are passed over.
    """
    if offset <= ledger.commands_offset:
        return
    ledger.commands_offset = ledger.moment.commands = offset
    ledger.moment.offset = ledger.usage_offset
    ledger.moment.by_command = True
    # Its verdicts are of its own time; the log of usage, which the books keep, may be behind.
    ledger.moment.time_ms = max(ledger.log_ms, stamp_ms)
    ledger.crowds.may_leave = False
    _obey_or_bury(ledger, key, value, offset, stamp_ms)
    ledger.moment.by_command = False
    ledger.moment.time_ms = ledger.log_ms
    ledger.crowds.may_leave = True
    ledger.crowds.settle()


def _obey_or_bury(
    ledger: Ledger, key: bytes | None, value: bytes | None, offset: int, stamp_ms: int
) -> None:
    try:
        command = command_adapter.validate_json(value or b"")
        ledger.moment.event_id = command.id
        workspace = _workspace(ledger, command.workspace)
        try:
            _obey(ledger, workspace, command, stamp_ms)
        finally:
            ledger.sweeper.close_if_empty(workspace)
    except ValidationError as error:
        reason: Reason = "malformed_command"
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] == "union_tag_invalid":
            reason = "unknown_command"
        where = ".".join(str(part) for part in first["loc"])
        ledger.buried.append(
            _refusal(ledger, reason, f"{where}: {first['msg']}", offset, stamp_ms, key, value)
        )
    except Refused as why:
        ledger.buried.append(
            _refusal(ledger, "malformed_command", str(why), offset, stamp_ms, key, value)
        )


def _workspace(ledger: Ledger, name: str) -> Workspace:
    """Raises `Refused` for one of another partition: its usage is booked there."""
    home = partition_of(name, ledger.partitions)
    if home != ledger.partition:
        raise Refused(
            f"workspace {name!r} lives in partition {home}, this is {ledger.partition}:"
            " produce its commands with murmur2 of the workspace, as all clients of ours do"
        )
    return ledger.open_workspace(name)


def _refusal(
    ledger: Ledger,
    reason: Reason,
    detail: str,
    offset: int,
    stamp_ms: int,
    key: bytes | None,
    value: bytes | None,
) -> DeadLetter:
    ledger.counts["dead_letters"] += 1
    return dead_letter(
        reason,
        detail,
        topic=COMMANDS.name,
        partition=ledger.partition,
        offset=offset,
        time=format_ms(stamp_ms),
        key=key,
        value=value,
    )


def _obey(ledger: Ledger, workspace: Workspace, command: Command, stamp_ms: int) -> None:
    match command:
        case SetBudget():
            _set_budget(ledger, workspace, command.budget)
        case DeleteBudget():
            _delete_budget(ledger, workspace, command.budget_id)
        case SetPrice():
            keep(ledger, workspace, PRICE, price_name(ledger, command.price), command.price)
            reprice(ledger, workspace)
        case DeletePrice():
            _delete_price(ledger, workspace, command.provider, command.model)
        case SetToolPrice():
            keep(ledger, workspace, TOOL_PRICE, tool_name(command.price), command.price)
            reprice_tool(ledger, workspace, command.price.tool)
        case SetPolicy():
            _set_policy(ledger, workspace, command.policy)
        case BlockSubject():
            _block(ledger, command, stamp_ms)
        case UnblockSubject():
            _unblock(ledger, workspace, command)


def _set_budget(ledger: Ledger, workspace: Workspace, budget: Budget) -> None:
    held = workspace.rules.get(budget.id)
    if held is None and len(workspace.rules) >= MAX_BUDGETS_PER_WORKSPACE:
        raise Refused(
            f"workspace {workspace.name!r} has {len(workspace.rules)} budgets, the most there may"
            f' be; delete one, or use "*" in one match instead of one budget a value'
        )
    if held is not None and held.counts_alike(Rule(workspace.name, budget, held.since_ms)):
        keep(ledger, workspace, BUDGET, budget.id, budget)
        rejudge(ledger, workspace, workspace.rules[budget.id])
        return
    # Another match or window counts something else: it begins anew, from the history.
    withdrawn = _close_budget(ledger, workspace, budget.id)
    keep(ledger, workspace, BUDGET, budget.id, budget)
    backfill(ledger, workspace, workspace.rules[budget.id])
    lift_fallen(ledger, withdrawn, f"budget {budget.id!r} was changed")


def _close_budget(ledger: Ledger, workspace: Workspace, budget_id: str) -> list[Decision]:
    """Lets a budget go with its accounts; the decisions that stood by it, withdrawn."""
    rule = workspace.rules.pop(budget_id, None)
    forget(ledger, workspace, BUDGET, budget_id)
    if rule is None:
        return []
    for key in sorted(key for key in workspace.purses if key[0] == budget_id):
        purse = workspace.purses.pop(key)
        for account in list(purse.accounts.values()):
            purse.close(account)
            ledger.changes.drop(account)
    workspace.change_purses()
    withdrawn = [d for d in standing_in(ledger, workspace) if d.rule == rule.name]
    for decision in withdrawn:
        ledger.verdicts.withdraw(decision)
    return withdrawn


def _delete_budget(ledger: Ledger, workspace: Workspace, budget_id: str) -> None:
    withdrawn = _close_budget(ledger, workspace, budget_id)
    lift_fallen(ledger, withdrawn, f"budget {budget_id!r} was deleted")


def _delete_price(ledger: Ledger, workspace: Workspace, provider: str | None, model: str) -> None:
    prefix = price_prefix(ledger, provider, model)
    for kind, name in list(workspace.documents):
        if kind == PRICE and name.startswith(prefix):
            forget(ledger, workspace, kind, name)
    ledger.prices.delete_override(workspace.name, provider, model)


def _set_policy(ledger: Ledger, workspace: Workspace, policy: Policy) -> None:
    try:
        profile_of(policy)
    except ValueError as why:
        raise Refused(str(why)) from None
    before = workspace.profile.budget_block_pico
    keep(ledger, workspace, POLICY, POLICY, policy)
    lifted = {f"detector:{name}" for name in policy.detectors.off}
    if policy.unpriced != "block":
        lifted.add("unpriced")
    if workspace.profile.budget_block_pico > before:
        # Runs that are over the new budget too are told so with their next event.
        lifted.add("detector:budget_exceeded")
    _lift_where(
        ledger,
        [d for d in standing_in(ledger, workspace) if d.rule in lifted],
        "the policy was changed",
    )


def _lift_where(ledger: Ledger, held: list[Decision], message: str) -> None:
    for decision in held:
        ledger.verdicts.decide(lift(decision, message, ledger.moment), FOREVER_MS, ledger.log_ms)


def _block(ledger: Ledger, command: BlockSubject, stamp_ms: int) -> None:
    moment = ledger.moment
    subject: Subject = {name: value for name, value in command.subject.items()}
    expires_ms = FOREVER_MS
    if command.expires_at is not None:
        expires_ms = min(FOREVER_MS, parse_ms(command.expires_at.isoformat()))
    if expires_ms <= ledger.log_ms:
        return
    ledger.verdicts.decide(
        Decision(
            id=identity(command.workspace, encode_subject(subject), "manual", *moment.version()),
            workspace=command.workspace,
            subject=subject,
            rule="manual",
            action="block",
            on_stale="closed",
            reason="manual",
            message=f"blocked by {command.actor}: {command.reason or 'no reason given'}",
            expires_at=None if expires_ms == FOREVER_MS else format_ms(expires_ms),
            cause=moment.cause(),
            version=moment.version(),
            issued_at=format_ms(stamp_ms),
        ),
        expires_ms,
        ledger.log_ms,
    )


def _unblock(ledger: Ledger, workspace: Workspace, command: UnblockSubject) -> None:
    _lift_where(
        ledger,
        [
            decision
            for decision in standing_in(ledger, workspace)
            if decision.subject == command.subject and decision.action == "block"
        ],
        f"unblocked by {command.actor}: {command.reason or 'no reason given'}",
    )
