"""POST /v1/blocks: the kill switch, and its way back."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from tollway.api.ports import Parts
from tollway.api.problems import Problem
from tollway.api.writes import Accepted, Ask, Writer
from tollway.contract.command import BlockSubject, UnblockSubject
from tollway.contract.subjects import Dimension

__all__ = ["block_routes"]


class BlockAsk(Ask):
    """`subject` names dimensions, such as ``{"agent": "bot"}``; ``{}`` is the whole workspace."""

    action: Literal["block", "unblock"] = "block"
    subject: dict[Dimension, Annotated[str, Field(min_length=1, max_length=512)]]
    expires_at: AwareDatetime | None = None


def block_routes(parts: Parts, writer: Writer) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["blocks"])

    @router.post("/blocks", status_code=202, operation_id="postBlock")
    def post_block(ask: BlockAsk) -> Accepted:
        """Blocks a subject, or with `action` `unblock` lifts whatever blocks exactly it."""
        signature = writer.sign(ask)
        if ask.action == "unblock":
            if ask.expires_at is not None:
                raise Problem(422, "invalid-request", "expires_at belongs to a block: leave it out")
            return writer.write(UnblockSubject(**signature, subject=ask.subject))
        if ask.expires_at is not None and ask.expires_at.timestamp() * 1000 <= parts.now_ms():
            raise Problem(
                422,
                "expired",
                f"expires_at {ask.expires_at.isoformat()} has passed; name a later moment, or none",
            )
        return writer.write(
            BlockSubject(**signature, subject=ask.subject, expires_at=ask.expires_at)
        )

    return router
