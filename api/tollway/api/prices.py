"""POST and DELETE of prices, tool prices and policies: what a workspace sets for itself."""

from fastapi import APIRouter

from tollway.api.writes import Accepted, Ask, Writer
from tollway.contract.command import (
    DeletePrice,
    Policy,
    PriceOverride,
    SetPolicy,
    SetPrice,
    SetToolPrice,
    ToolPrice,
)

__all__ = ["price_routes"]


class PriceAsk(Ask):
    price: PriceOverride


class DeletePriceAsk(Ask):
    model: str
    provider: str | None = None


class ToolPriceAsk(Ask):
    price: ToolPrice


class PolicyAsk(Ask):
    policy: Policy


def price_routes(writer: Writer) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["prices and policies"])

    @router.post("/prices", status_code=202, operation_id="postPrice")
    def post_price(ask: PriceAsk) -> Accepted:
        """Sets a workspace's own price of a model, from `effective_from` on."""
        return writer.write(SetPrice(**writer.sign(ask), price=ask.price))

    @router.post("/prices/delete", status_code=202, operation_id="deletePrice")
    def delete_price(ask: DeletePriceAsk) -> Accepted:
        """Removes a workspace's own prices of a model: the list price counts again."""
        return writer.write(DeletePrice(**writer.sign(ask), provider=ask.provider, model=ask.model))

    @router.post("/tool-prices", status_code=202, operation_id="postToolPrice")
    def post_tool_price(ask: ToolPriceAsk) -> Accepted:
        """Sets what one call of a tool costs, from `effective_from` on."""
        return writer.write(SetToolPrice(**writer.sign(ask), price=ask.price))

    @router.post("/policies", status_code=202, operation_id="postPolicy")
    def post_policy(ask: PolicyAsk) -> Accepted:
        """Sets how a workspace is watched; it replaces the policy before."""
        return writer.write(SetPolicy(**writer.sign(ask), policy=ask.policy))

    return router
