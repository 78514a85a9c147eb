"""A backend over Tollway's api: caps are budgets of the workspace, costs what it charged."""

import json
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from tollway.compat.amounts import as_float, exact_pico
from tollway.compat.pramiti.backends import ICostBackend, action_named
from tollway.contract.money import format_usd
from tollway.producers import process

__all__ = ["ApiBackend", "ApiUnavailable"]

TIMEOUT_S: Final = 5.0
MAX_KEPT: Final = 10_000
# Of decisions in force, which are few: budgets and people make them.
PAGE: Final = 500
MAX_PAGES: Final = 20
_PLAIN: Final = re.compile(r"[A-Za-z0-9.-]{1,120}")

Document = dict[str, object]


class ApiUnavailable(RuntimeError):
    """The api did not answer, or refused; so nobody knows whether the agent may go on."""


class _Kept(NamedTuple):
    until_s: float
    cap: Document | None
    cost: float


class ApiBackend(ICostBackend):
    """`api` is its address, else ``TOLLWAY_API``. An answer serves checks for `kept_s` seconds.

    A cap is the day's budget (UTC) of one agent; a budget that somebody has set for that agent, or
    for each agent, is its cap too, and the lowest counts. A block in force for the agent or for the
    workspace is a cap that is spent. Costs that are added are metered: they are in the answers
    once the worker has charged them and the sinks have stored that.
    """

    def __init__(self, api: str | None = None, *, kept_s: float = 1.0) -> None:
        address = api or os.environ.get("TOLLWAY_API")
        if not address:
            raise ValueError("no api is known: give its address, or set TOLLWAY_API")
        self._address = address if "://" in address else f"http://{address}"
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def get_cap(self, workspace_id: str, agent_id: str) -> Document | None:
        """Raises `ApiUnavailable`."""
        return self._asked(workspace_id, agent_id).cap

    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        """Raises `ApiUnavailable`."""
        return self._asked(workspace_id, agent_id).cost

    def set_cap(
        self, workspace_id: str, agent_id: str, max_usd: float, action: str = "block"
    ) -> None:
        """Takes effect when the worker closes its books. Raises `ApiUnavailable`."""
        budget: Document = {
            "workspace": workspace_id,
            "match": {"agent": agent_id},
            "window": "day",
            "limit_usd": format_usd(exact_pico(max_usd)),
            "action": action_named(action),
        }
        self._send("PUT", f"/v1/budgets/{_budget_id(agent_id)}", {}, budget)
        with self._lock:
            self._kept.pop((workspace_id, agent_id), None)

    def add_cost(self, workspace_id: str, agent_id: str, usd: float) -> None:
        cost = format_usd(exact_pico(usd))
        process.record(kind="tool", workspace=workspace_id, agent=agent_id, cost=cost)

    def _asked(self, workspace_id: str, agent_id: str) -> _Kept:
        key = (workspace_id, agent_id)
        now_s = time.monotonic()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now_s < kept.until_s:
            return kept
        cap = self._cap(workspace_id, agent_id)
        cost = self._cost(workspace_id, agent_id)
        if self._is_blocked(workspace_id, agent_id):
            # What is spent, and not what the block names: a person's names nothing.
            cap = {"max_usd_per_day": cost, "action_on_breach": "block"}
        kept = _Kept(now_s + self._kept_s, cap, cost)
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return kept

    def _cap(self, workspace_id: str, agent_id: str) -> Document | None:
        answer = self._send("GET", "/v1/budgets", {"workspace": workspace_id})
        caps = [
            (exact_pico(budget["limit_usd"]), budget.get("action", "block"))
            for budget in _rows(answer)
            if budget.get("window") == "day"
            and budget.get("zone", "UTC") == "UTC"
            and budget.get("limit_usd") is not None
            and budget.get("mode") != "observe"
            and budget.get("match") in ({"agent": agent_id}, {"agent": "*"})
        ]
        if not caps:
            return None
        # Of equal ones, "block" sorts before "warn".
        limit, action = min(caps, key=lambda cap: (cap[0], str(cap[1])))
        return {"max_usd_per_day": format_usd(limit), "action_on_breach": action}

    def _is_blocked(self, workspace_id: str, agent_id: str) -> bool:
        asked = {"workspace": workspace_id, "active": "true", "limit": str(PAGE)}
        for _ in range(MAX_PAGES):
            answer = self._send("GET", "/v1/decisions", asked)
            for decision in _rows(answer):
                concerns = decision.get("subject") in ({}, {"agent": agent_id})
                if concerns and _is_enforced_block(decision):
                    return True
            cursor = answer.get("next_cursor")
            if cursor is None:
                return False
            asked["cursor"] = str(cursor)
        raise ApiUnavailable(
            f"more than {PAGE * MAX_PAGES} decisions are in force; which, is unknown"
        )

    def _cost(self, workspace_id: str, agent_id: str) -> float:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        asked = {
            "by": "agent",
            "workspace": workspace_id,
            "from": midnight.isoformat().replace("+00:00", "Z"),
            "limit": "10000",
        }
        rows = _rows(self._send("GET", "/v1/spend", asked))
        return as_float(
            sum(exact_pico(row["cost"]) for row in rows if row.get("agent") == agent_id)
        )

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Document | None = None
    ) -> Document:
        url = f"{self._address}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(
            url,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                document: Document = json.load(answer)
        except urllib.error.HTTPError as error:
            raise ApiUnavailable(f"{self._address}{path} answered {error.code}") from None
        except (OSError, ValueError) as error:
            raise ApiUnavailable(
                f"{self._address}{path} cannot be asked ({type(error).__name__}); is TOLLWAY_API"
                " right, and the api running?"
            ) from None
        return document


def _rows(answer: Document) -> list[Document]:
    rows = answer.get("rows")
    return rows if isinstance(rows, list) else []


def _is_enforced_block(decision: Document) -> bool:
    return decision.get("action") == "block" and decision.get("mode") != "observe"


def _budget_id(agent_id: str) -> str:
    """An agent's own: a name that no budget can have as its id is hashed."""
    if _PLAIN.fullmatch(agent_id):
        return f"cap-{agent_id}"
    return f"cap:{blake2b(agent_id.encode(), digest_size=16).hexdigest()}"
