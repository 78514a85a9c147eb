"""Documents in force: budgets, prices and policies, kept as state and put in force again."""

from typing import Final

from tollway.contract.command import Budget, Policy, PriceOverride, ToolPrice
from tollway.contract.moments import parse_ms
from tollway.contract.subjects import encode_name
from tollway.domain.budgets import Rule
from tollway.domain.ledger import Ledger
from tollway.domain.prices import MAX_PRICES_PER_WORKSPACE
from tollway.domain.workspaces import Document, Workspace

__all__ = [
    "BUDGET",
    "POLICY",
    "PRICE",
    "TOOL_PRICE",
    "Refused",
    "adopt",
    "forget",
    "keep",
    "price_name",
    "price_prefix",
    "tool_name",
]

BUDGET: Final = "budget"
PRICE: Final = "price"
TOOL_PRICE: Final = "tool_price"
POLICY: Final = "policy"


class Refused(ValueError):
    """A command that is well formed but cannot take effect."""


def price_prefix(ledger: Ledger, provider: str | None, model: str) -> str:
    """What prices of one provider and model begin with: one document for each that the book has."""
    seller = "*"
    if provider is not None:
        known = ledger.prices.catalogue.provider_id(provider) or provider.strip().lower()
        seller = encode_name(known)
    return f"{seller}/{encode_name(model.lower())}@"


def price_name(ledger: Ledger, price: PriceOverride) -> str:
    from_ms = parse_ms(price.effective_from.isoformat())
    return f"{price_prefix(ledger, price.provider, price.model)}{from_ms}"


def tool_name(price: ToolPrice) -> str:
    connection = "*" if price.connection is None else encode_name(price.connection)
    from_ms = parse_ms(price.effective_from.isoformat())
    return f"{encode_name(price.tool)}/{connection}@{from_ms}"


def keep(
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
    adopt(ledger, workspace, document)
    if held is not None:
        held.dirty = False
    workspace.documents[(kind, name)] = document
    ledger.changes.touch(document)


def forget(ledger: Ledger, workspace: Workspace, kind: str, name: str) -> None:
    document = workspace.documents.pop((kind, name), None)
    if document is not None:
        document.dirty = False
        ledger.changes.drop(document)


def adopt(ledger: Ledger, workspace: Workspace, document: Document) -> None:
    """Puts a document in force: now, or again after the ledger was restored."""
    if document.kind == BUDGET:
        budget = Budget.model_validate_json(document.text)
        # Last in order, as after a restart: budgets speak in the order in which they were set.
        workspace.rules.pop(budget.id, None)
        workspace.rules[budget.id] = Rule(workspace.name, budget, document.since_ms)
    elif document.kind == PRICE:
        override = PriceOverride.model_validate_json(document.text)
        _within_limit(ledger.prices.set_override(workspace.name, override), workspace)
    elif document.kind == TOOL_PRICE:
        price = ToolPrice.model_validate_json(document.text)
        _within_limit(ledger.prices.set_tool_price(workspace.name, price), workspace)
    else:
        workspace.set_policy(Policy.model_validate_json(document.text))
    workspace.change_purses()


def _within_limit(was_set: bool, workspace: Workspace) -> None:
    if not was_set:
        raise Refused(
            f"workspace {workspace.name!r} has {MAX_PRICES_PER_WORKSPACE} prices, the most there"
            " may be; delete those that are over"
        )
