"""Records of `tollway.control`: what the worker tells agents, sinks and people."""

from typing import Literal

import msgspec

from tollway.contract.subjects import Subject, encode_name, encode_subject

__all__ = [
    "Action",
    "Cause",
    "ControlRecord",
    "Decision",
    "Finding",
    "Heartbeat",
    "Version",
    "control_key",
]

Action = Literal["allow", "warn", "block"]
# (log generation, usage offset, commands offset) at which a decision was made; compared in order.
Version = tuple[int, int, int]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The record that made the worker decide; offset -1 where a command did."""

    partition: int
    offset: int
    event_id: str


class Decision(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="decision"):
    """What agents must do about a subject, until `expires_at` or a newer version.

    `rule` is ``budget:<id>``, ``detector:<name>``, ``manual`` or ``unpriced``. `action="allow"`
    lifts what stood before. `subject` names the dimensions it is about: ``{"agent": "bot"}``;
    ``{}`` is the whole workspace. `spent` and `limit` are dollars, or counts where `unit` says so.
    `mode="observe"` is to be shown, never enforced. `expires_at` null: until lifted.
    """

    id: str
    workspace: str
    subject: Subject
    rule: str
    action: Action
    mode: Literal["observe", "soft", "hard"] = "soft"
    on_stale: Literal["open", "closed"] = "open"
    reason: str
    message: str
    unit: Literal["usd", "tokens", "calls"] = "usd"
    spent: str | None = None
    limit: str | None = None
    threshold_percent: int | None = None
    window: str | None = None
    window_start: str | None = None
    fallback_model: str | None = None
    expires_at: str | None = None
    cause: Cause
    version: Version
    issued_at: str


class Finding(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="finding"):
    """What a detector saw in one run; `level="block"` also made a decision."""

    id: str
    detector: str
    level: Literal["warn", "block"]
    workspace: str
    agent: str
    session: str | None = None
    step: int | None = None
    event_id: str
    message: str
    # The figures behind the message, as decimal strings or counts.
    evidence: dict[str, str] = {}
    time: str
    cause: Cause
    version: Version


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="heartbeat"):
    """Each second, from the owner of a partition: how far it is, so that agents know how fresh."""

    partition: int
    generation: int
    usage_offset: int
    commands_offset: int
    issued_at: str


ControlRecord = Decision | Finding | Heartbeat


def control_key(record: ControlRecord) -> str:
    """The record's key: compaction keeps the newest record of each."""
    match record:
        case Decision():
            subject = encode_subject(record.subject)
            return f"{encode_name(record.workspace)}|{subject}|{record.rule}"
        case Finding():
            run = f"{encode_name(record.agent)}/{encode_name(record.session or '')}"
            return f"{encode_name(record.workspace)}|{run}|finding:{record.detector}"
        case Heartbeat():
            return f"heartbeat|{record.partition}"
