"""GET /healthz, /readyz and /metrics: for supervisors, load balancers and Prometheus."""

from collections.abc import Awaitable, Callable
from time import perf_counter

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from tollway.api.ports import LogUnavailable, Parts, StoreUnavailable

__all__ = ["count_requests", "health_routes"]

Answer = Callable[[Request], Awaitable[Response]]


def health_routes(parts: Parts, registry: CollectorRegistry) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", operation_id="getHealth")
    def get_health() -> dict[str, str]:
        """The process is up."""
        return {"status": "ok"}

    @router.get("/readyz", operation_id="getReadiness")
    def get_readiness() -> JSONResponse:
        """The log and the store answer, and the sinks are not far behind; 503 says which not."""
        checks = {"log": _log(parts), "store": _store(parts), "lag": _lag(parts)}
        ready = all(check == "ok" for check in checks.values())
        return JSONResponse(
            {"status": "ready" if ready else "not ready", "checks": checks},
            status_code=200 if ready else 503,
        )

    @router.get("/metrics", operation_id="getMetrics")
    def get_metrics() -> Response:
        """In Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _log(parts: Parts) -> str:
    return "ok" if parts.command_log.reachable() else "Kafka does not answer"


def _store(parts: Parts) -> str:
    try:
        parts.store.query("SELECT 1 FROM spend LIMIT 1", {})
    except StoreUnavailable as error:
        return str(error)
    return "ok"


def _lag(parts: Parts) -> str:
    try:
        behind = parts.sink_lag.at_most()
    except LogUnavailable as error:
        return str(error)
    if behind > parts.settings.ready_lag_max:
        return f"the sinks are {behind} offsets behind, over {parts.settings.ready_lag_max}"
    return "ok"


def count_requests(app: FastAPI, registry: CollectorRegistry) -> None:
    """Counts and times requests by route: never by address, whose ids have no bound."""
    requests = Counter(
        "tollway_api_requests_total",
        "Requests answered.",
        ("route", "method", "status"),
        registry=registry,
    )
    seconds = Histogram(
        "tollway_api_request_seconds", "Time to answer.", ("route",), registry=registry
    )

    @app.middleware("http")
    async def _count(request: Request, answer: Answer) -> Response:
        started = perf_counter()
        response = await answer(request)
        route = getattr(request.scope.get("route"), "path", "unknown")
        requests.labels(route, request.method, str(response.status_code)).inc()
        seconds.labels(route).observe(perf_counter() - started)
        return response
