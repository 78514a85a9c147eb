"""Recorded events in other workspaces, with dimensions that the recordings lack."""

from hashlib import blake2b
from typing import Any

__all__ = ["Event", "dressed", "outcome", "share"]

# A usage event as the document that it is on the wire.
Event = dict[str, Any]  # any emitter's JSON: its values are what the tests are about


def share(text: str, parts: int) -> int:
    """A number below `parts` that depends on the text alone."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") % parts


def dressed(event: Event, copy: int, session: str, parent: str | None, workspace: str) -> Event:
    """The recorded event in its workspace, with dimensions that the recordings lack."""
    worn = {**event, "workspace": workspace, "session": session}
    if copy:
        worn["id"] = f"{event['id']}~{copy}"
    if parent is not None:
        worn["parent_session"] = parent
    worn["user"] = f"user-{share(f'user {session}', 40)}"
    if share(f"customer {session}", 10) < 6:
        worn["customer"] = f"customer {share(session, 25)}"
    if share(f"connection {session}", 10) < 4:
        worn["connection"] = ("crm", "warehouse", "mail&web")[share(session, 3)]
    mark = share(f"odd {worn['id']}", 100)
    if mark < 2:
        worn["cost"] = f"0.{share(str(worn['id']), 10**9):012d}"
    elif mark < 4:
        del worn["source"]
    elif mark < 6:
        # Of no run: its agent works outside sessions.
        worn.pop("session")
        worn.pop("parent_session", None)
    return worn


def outcome(last: Event) -> Event:
    kept = ("source", "time", "workspace", "agent", "session", "parent_session", "user")
    told = {name: last[name] for name in kept if name in last}
    return {**told, "id": f"{last['id']}/outcome", "kind": "outcome", "success": True}
