"""Callbacks and the webhook: what they are told, when, and what they may do to the host."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tollway.compat.agentbudget import AgentBudget, BudgetExhausted
from tollway.compat.agentbudget.sessions import Callbacks
from tollway.compat.agentbudget.webhook import Webhook

Report = dict[str, Any]  # Any: JSON, as the tool documents it


def test_a_jump_over_both_limits_tells_of_both() -> None:
    told: list[tuple[str, Report]] = []
    budget = AgentBudget(
        1,
        on_soft_limit=lambda report: told.append(("soft", report)),
        on_hard_limit=lambda report: told.append(("hard", report)),
    )
    with budget.session() as session:
        session.track("x", cost=0.5)
        with pytest.raises(BudgetExhausted):
            session.track("x", cost=0.6)
        with pytest.raises(BudgetExhausted):
            session.track("x", cost=0.6)

    assert [(name, report["total_spent"]) for name, report in told] == [
        ("soft", 1.1),
        ("hard", 1.1),
    ]


def test_what_a_callback_raises_reaches_the_host() -> None:
    def stop(report: Report) -> None:
        raise KeyboardInterrupt

    with AgentBudget(1, on_soft_limit=stop).session() as session, pytest.raises(KeyboardInterrupt):
        session.track("x", cost=0.95)


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))  # type: ignore[attr-defined]  # set below
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_a_webhook_is_told_what_callbacks_are() -> None:
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        server.received = []  # type: ignore[attr-defined]  # for the handler
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        webhook = Webhook(f"http://127.0.0.1:{server.server_address[1]}/")
        callbacks = webhook.beside(Callbacks())
        assert callbacks.on_soft_limit is not None
        callbacks.on_soft_limit({"session_id": "run-1", "total_spent": 0.9})
        webhook.wait()
        server.shutdown()
        thread.join()

    assert server.received == [  # type: ignore[attr-defined]  # set above
        {
            "event_type": "soft_limit",
            "session_id": "run-1",
            "data": {"session_id": "run-1", "total_spent": 0.9},
        }
    ]


def test_a_webhook_that_nobody_answers_stops_nothing() -> None:
    budget = AgentBudget(1, webhook_url="http://127.0.0.1:9/")

    with budget.session() as session:
        session.track("x", cost=0.95)

    assert session.spent == 0.95
