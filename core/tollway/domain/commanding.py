"""Commands: how budgets, prices, policies and people's blocks change a ledger."""

from typing import Final

from pydantic import ValidationError

from tollway.contract.command import (
    MAX_BUDGETS_PER_WORKSPACE,
    BlockSubject,
    Budget,
    Command,
    DeleteBudget,
    DeletePrice,
    Policy,
    PriceOverride,
    SetBudget,
    SetPolicy,
    SetPrice,
    SetToolPrice,
    ToolPrice,
    UnblockSubject,
    command_adapter,
)
from tollway.contract.control import Decision
from tollway.contract.deadletter import DeadLetter, Reason, dead_letter
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.subjects import Subject, encode_subject
from tollway.contract.topics import COMMANDS
from tollway.domain.backfill import backfill, rejudge
from tollway.domain.budgets import Rule
from tollway.domain.calendar import FOREVER_MS
from tollway.domain.detectors import profile_of
from tollway.domain.ledger import Ledger
from tollway.domain.prices import MAX_PRICES_PER_WORKSPACE
from tollway.domain.repricing import reprice
from tollway.domain.verdicts import identity, lift
from tollway.domain.workspaces import Document, Workspace

__all__ = ["adopt_document", "obey"]

BUDGET: Final = "budget"
PRICE: Final = "price"
TOOL_PRICE: Final = "tool_price"
POLICY: Final = "policy"


class Refused(ValueError):
    """A command that is well formed but cannot take effect."""


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
    try:
        command = command_adapter.validate_json(value or b"")
        ledger.moment.event_id = command.id
        _obey(ledger, ledger.open_workspace(command.workspace), command, stamp_ms)
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
            _keep(ledger, workspace, PRICE, _price_name(command.price), command.price)
            reprice(ledger, workspace)
        case DeletePrice():
            _delete_price(ledger, workspace, command.provider, command.model)
        case SetToolPrice():
            _keep(ledger, workspace, TOOL_PRICE, _tool_name(command.price), command.price)
        case SetPolicy():
            _set_policy(ledger, workspace, command.policy)
        case BlockSubject():
            _block(ledger, command, stamp_ms)
        case UnblockSubject():
            _unblock(ledger, workspace, command)


def _price_name(price: PriceOverride) -> str:
    return f"{price.provider or '*'}/{price.model}@{price.effective_from.isoformat()}"


def _tool_name(price: ToolPrice) -> str:
    return f"{price.tool}/{price.connection or '*'}@{price.effective_from.isoformat()}"


def _keep(
    ledger: Ledger,
    workspace: Workspace,
    kind: str,
    name: str,
    body: Budget | PriceOverride | ToolPrice | Policy,
) -> None:
    """Puts a document in force and keeps it as state. Raises `Refused`, with nothing changed."""
    document = Document(workspace.name, kind, name)
    held = workspace.documents.get((kind, name))
    document.since_ms = ledger.log_ms if held is None else held.since_ms
    document.text = body.model_dump_json(exclude_none=True).encode()
    document.commands_offset = ledger.commands_offset
    adopt_document(ledger, workspace, document)
    if held is not None:
        held.dirty = False
    workspace.documents[(kind, name)] = document
    ledger.changes.touch(document)


def _forget(ledger: Ledger, workspace: Workspace, kind: str, name: str) -> None:
    document = workspace.documents.pop((kind, name), None)
    if document is not None:
        document.dirty = False
        ledger.changes.drop(document)


def adopt_document(ledger: Ledger, workspace: Workspace, document: Document) -> None:
    """Puts a document in force: now, or again after the ledger was restored."""
    if document.kind == BUDGET:
        budget = Budget.model_validate_json(document.text)
        workspace.rules[budget.id] = Rule(workspace.name, budget, document.since_ms)
    elif document.kind == PRICE:
        override = PriceOverride.model_validate_json(document.text)
        _within_limit(ledger.prices.set_override(workspace.name, override), workspace)
    elif document.kind == TOOL_PRICE:
        price = ToolPrice.model_validate_json(document.text)
        _within_limit(ledger.prices.set_tool_price(workspace.name, price), workspace)
    else:
        workspace.set_policy(Policy.model_validate_json(document.text))
    workspace.routes.clear()


def _within_limit(was_set: bool, workspace: Workspace) -> None:
    if not was_set:
        raise Refused(
            f"workspace {workspace.name!r} has {MAX_PRICES_PER_WORKSPACE} prices, the most there"
            " may be; delete those that are over"
        )


def _set_budget(ledger: Ledger, workspace: Workspace, budget: Budget) -> None:
    held = workspace.rules.get(budget.id)
    if held is None and len(workspace.rules) >= MAX_BUDGETS_PER_WORKSPACE:
        raise Refused(
            f"workspace {workspace.name!r} has {len(workspace.rules)} budgets, the most there may"
            f' be; delete one, or use "*" in one match instead of one budget a value'
        )
    if held is not None and not held.counts_alike(Rule(workspace.name, budget, held.since_ms)):
        # Another match or window counts something else: it begins anew, from the history.
        _delete_budget(ledger, workspace, budget.id)
        held = None
    _keep(ledger, workspace, BUDGET, budget.id, budget)
    if held is None:
        backfill(ledger, workspace, workspace.rules[budget.id])
    else:
        rejudge(ledger, workspace, workspace.rules[budget.id])


def _delete_budget(ledger: Ledger, workspace: Workspace, budget_id: str) -> None:
    rule = workspace.rules.pop(budget_id, None)
    _forget(ledger, workspace, BUDGET, budget_id)
    if rule is None:
        return
    for key in [key for key in workspace.purses if key[0] == budget_id]:
        purse = workspace.purses.pop(key)
        for account in purse.accounts.values():
            ledger.changes.drop(account)
    _lift_where(
        ledger,
        [d for d in _standing(ledger, workspace) if d.rule == rule.name],
        f"budget {budget_id!r} was deleted",
    )
    workspace.routes.clear()


def _delete_price(ledger: Ledger, workspace: Workspace, provider: str | None, model: str) -> None:
    prefix = f"{provider or '*'}/{model}@"
    for kind, name in list(workspace.documents):
        if kind == PRICE and name.startswith(prefix):
            _forget(ledger, workspace, kind, name)
    ledger.prices.delete_override(workspace.name, provider, model)
    workspace.routes.clear()


def _set_policy(ledger: Ledger, workspace: Workspace, policy: Policy) -> None:
    try:
        profile_of(policy)
    except ValueError as why:
        raise Refused(str(why)) from None
    _keep(ledger, workspace, POLICY, POLICY, policy)
    if policy.unpriced != "block":
        _lift_where(
            ledger,
            [d for d in _standing(ledger, workspace) if d.rule == "unpriced"],
            "the policy no longer blocks unpriced models",
        )


def _standing(ledger: Ledger, workspace: Workspace) -> list[Decision]:
    return [
        piece.decision
        for piece in ledger.verdicts.standing.values()
        if piece.decision.workspace == workspace.name
    ]


def _lift_where(ledger: Ledger, held: list[Decision], message: str) -> None:
    for decision in held:
        ledger.verdicts.decide(lift(decision, message, ledger.moment), FOREVER_MS, ledger.log_ms)


def _block(ledger: Ledger, command: BlockSubject, stamp_ms: int) -> None:
    moment = ledger.moment
    subject: Subject = {name: value for name, value in command.subject.items()}
    expires_at = command.expires_at
    expires_text = None if expires_at is None else expires_at.isoformat()
    expires_ms = FOREVER_MS if expires_text is None else parse_ms(expires_text)
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
            expires_at=None if expires_text is None else format_ms(expires_ms),
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
            for decision in _standing(ledger, workspace)
            if decision.subject == command.subject and decision.action == "block"
        ],
        f"unblocked by {command.actor}: {command.reason or 'no reason given'}",
    )
