"""Builds the application out of its settings, a store, and the log of commands."""

from collections.abc import Callable
from time import time_ns

from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry

from tollway.api.arrivals import arrival_routes
from tollway.api.asked import only_known_parameters
from tollway.api.audit import audit_routes
from tollway.api.blocks import block_routes
from tollway.api.budget_store import BudgetStore
from tollway.api.budgets import budget_routes
from tollway.api.health import count_requests, health_routes
from tollway.api.lists import list_routes
from tollway.api.overlay import WrittenCommands
from tollway.api.ports import CommandLog, Parts, SinkLag, Store
from tollway.api.prices import price_routes
from tollway.api.problems import install_problems
from tollway.api.settings import ApiSettings
from tollway.api.spend import spend_routes
from tollway.api.status import status_routes
from tollway.api.writes import Writer

__all__ = ["create_app"]


def _now_ms() -> int:
    return time_ns() // 1_000_000


def create_app(
    settings: ApiSettings,
    store: Store,
    command_log: CommandLog,
    sink_lag: SinkLag,
    now_ms: Callable[[], int] = _now_ms,
) -> FastAPI:
    # No /docs page: it would load its scripts from elsewhere. /openapi.json is there.
    app = FastAPI(title="Tollway", version="1", docs_url=None, redoc_url=None)
    parts = Parts(
        settings=settings,
        store=store,
        command_log=command_log,
        sink_lag=sink_lag,
        now_ms=now_ms,
    )
    written = WrittenCommands()
    writer = Writer(parts, written)
    registry = CollectorRegistry()
    install_problems(app)
    count_requests(app, registry)
    app.include_router(health_routes(parts, registry))
    for router in (
        status_routes(parts),
        spend_routes(parts),
        list_routes(parts),
        audit_routes(parts),
        arrival_routes(parts),
        budget_routes(parts, BudgetStore(parts, written), writer),
        block_routes(parts, writer),
        price_routes(writer),
    ):
        app.include_router(router, dependencies=[Depends(only_known_parameters)])
    return app
