"""The worker's three pages: alive, ready, and its figures."""

import asyncio
import json

from aiohttp import web

from tollway.streams.metrics import Metrics
from tollway.streams.worker import Worker

__all__ = ["serve_pages"]


async def serve_pages(worker: Worker, metrics: Metrics, host: str, port: int) -> None:
    """Serves /healthz, /readyz and /metrics until it is cancelled."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "up"})

    async def readyz(request: web.Request) -> web.Response:
        ready = worker.is_ready()
        body = json.dumps({"ready": ready, "partitions": worker.state()})
        return web.Response(
            text=body, status=200 if ready else 503, content_type="application/json"
        )

    async def figures(request: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), content_type="text/plain", charset="utf-8")

    pages = web.Application()
    pages.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", figures),
        ]
    )
    runner = web.AppRunner(pages, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
