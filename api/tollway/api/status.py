"""GET /v1/status: what `tollway doctor` compares: the clock here, and the store's migrations."""

from fastapi import APIRouter

from tollway.api.ports import Parts
from tollway.api.rows import as_moment
from tollway.contract.moments import format_ms

__all__ = ["status_routes"]


def status_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["health"])

    @router.get("/status", operation_id="getStatus")
    def get_status() -> dict[str, object]:
        rows = parts.store.query(
            "SELECT version, name, checksum, applied_at FROM schema_migrations FINAL"
            " ORDER BY version",
            {},
        )
        migrations = [{**row, "applied_at": as_moment(row["applied_at"])} for row in rows]
        return {"now": format_ms(parts.now_ms()), "migrations": migrations}

    return router
