"""The sinks as a process of their own, with its health over HTTP."""

import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from tollway.sinks.clickhouse import connect
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.migrate import migrate
from tollway.sinks.run import SinkSettings, run_sinks

__all__ = ["run_sink"]


def run_sink(
    brokers: str, clickhouse: str, *, host: str, health_port: int, migrate_first: bool
) -> None:
    """Returns on SIGINT or SIGTERM, once what was read is stored."""
    client = connect(clickhouse)
    if migrate_first:
        migrate(client)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    health, registry = Health(), CollectorRegistry()
    server = ThreadingHTTPServer((host, health_port), _doors(health, registry))
    Thread(target=server.serve_forever, name="health", daemon=True).start()
    try:
        run_sinks(
            SinkSettings(brokers=brokers),
            client,
            stop,
            health=health,
            metrics=SinkMetrics(registry),
        )
    finally:
        server.shutdown()
        server.server_close()


def _doors(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Doors(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(200, "application/json", b'{"status":"ok"}')
            elif self.path == "/readyz":
                report = health.report()
                body = msgspec.json.encode(report)
                self._answer(200 if report.ready else 503, "application/json", body)
            elif self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self._answer(404, "application/json", b'{"status":404}')

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are no news."""

    return Doors
