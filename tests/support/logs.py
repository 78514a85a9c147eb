"""Small logs for laws: what Hypothesis draws, made concrete, and played to a ledger."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import strategies as st

from ledgers import DAY, HOUR, MINUTE, T0, Books, Log, budget, command
from tollway.contract.ledger_entries import FingerprintsEntry, FreeCallsEntry
from tollway.contract.moments import format_ms
from tollway.contract.money import parse_usd

__all__ = [
    "Entry",
    "Outcome",
    "entries_at_rest",
    "events",
    "logs",
    "play",
    "steps",
    "sums_of_minutes",
]

_encode = msgspec.json.Encoder().encode
Step = tuple[str, int, dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """One record of a log: `usage` or `command`, appended at `stamp_ms`."""

    kind: str
    value: bytes
    stamp_ms: int


AHEAD = [0, 0, 0, 1_000, 30_000, 70_000, 16 * MINUTE, 40 * MINUTE, 3 * HOUR, 26 * HOUR]
LATE = [0, 0, 0, -1_000, -MINUTE, -20 * MINUTE, -2 * HOUR, -26 * HOUR, -80 * HOUR, 4 * MINUTE]


def events(late: Sequence[int] = LATE) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of usage events; `late` is by how much their clock differs from the log's."""
    return st.fixed_dictionaries(
        {
            "late": st.sampled_from(late),
            "workspace": st.sampled_from(["acme", "acme", "beta"]),
            "agent": st.sampled_from(["bot", "cat"]),
            "kind": st.sampled_from(["llm", "llm", "llm", "tool", "outcome", "loss"]),
            "input_tokens": st.integers(0, 50_000),
            "output_tokens": st.integers(0, 5_000),
        },
        optional={
            "session": st.sampled_from(["s1", "s2", "s3"]),
            "parent_session": st.sampled_from(["s1", "s4"]),
            "model": st.sampled_from(["small", "large", "mystery", "mystery"]),
            "provider": st.sampled_from(["acme", "other"]),
            "tool": st.sampled_from(["search", "mail"]),
            "connection": st.sampled_from(["crm"]),
            "user": st.sampled_from(["u1", "u2"]),
            "customer": st.sampled_from(["k1"]),
            "cost": st.sampled_from(["0", "0.01", "0.3", "0.700000000001", "1.5"]),
            "prompt_hash": st.sampled_from(["p1", "p2"]),
            "args_hash": st.sampled_from(["a1"]),
            "result_hash": st.sampled_from(["r1"]),
            "step": st.integers(0, 5),
            "producer": st.sampled_from(["pa", "pb"]),
            "lost": st.just({"queue_full": 2}),
        },
    )


_SUBJECTS = [{}, {"agent": "*"}, {"session": "*"}, {"agent": "bot"}, {"model": "*"}]
_WINDOWS = ["hour", "day", "week", "month", "total", "rolling:90m", "rolling:24h"]
_PRICE = {"input": "2", "output": "4"}


def _budgets() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda name, match, window, zone, limit, action, percents: (
            budget(id=name, match=match, window=window, zone=zone, limit_usd=limit, action=action)
            | ({} if percents is None else {"thresholds_percent": percents})
        ),
        st.sampled_from(["cap", "other"]),
        st.sampled_from(_SUBJECTS),
        st.sampled_from(_WINDOWS),
        st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
        st.sampled_from(["0", "0.05", "0.5", "1", "3", "1000"]),
        st.sampled_from(["block", "warn"]),
        st.sampled_from([None, [50], [70, 120]]),
    )


def _prices() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda provider, day: {
            "model": "mystery",
            "provider": provider,
            "effective_from": format_ms(T0 + day * DAY),
            "price": _PRICE,
        },
        st.sampled_from([None, "acme", "other"]),
        st.sampled_from([-90, 0, 1]),
    )


def _tool_prices() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda tool, connection, day, usd: (
            {"tool": tool, "effective_from": format_ms(T0 + day * DAY), "usd_per_call": usd}
            | ({} if connection is None else {"connection": connection})
        ),
        st.sampled_from(["search", "mail"]),
        st.sampled_from([None, None, "crm"]),
        st.sampled_from([-90, 0, 1]),
        st.sampled_from(["0", "0.02", "0.300000000001"]),
    )


def _commands() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    policies = st.fixed_dictionaries(
        {
            "unpriced": st.sampled_from(["pending", "conservative", "block"]),
            "profile": st.sampled_from(["production", "compat"]),
        },
        optional={"run_budget_usd": st.sampled_from(["0.1", "1"])},
    )
    subjects = st.sampled_from([{}, {"agent": "bot"}, {"model": "mystery"}])
    return st.one_of(
        _budgets().map(lambda body: ("budget.set", {"budget": body})),
        st.sampled_from(["cap", "other"]).map(lambda i: ("budget.delete", {"budget_id": i})),
        policies.map(lambda body: ("policy.set", {"policy": body})),
        _prices().map(lambda body: ("price.set", {"price": body})),
        st.just(("price.delete", {"model": "mystery"})),
        _tool_prices().map(lambda body: ("tool_price.set", {"price": body})),
        subjects.map(lambda body: ("block", {"subject": body})),
        subjects.map(lambda body: ("unblock", {"subject": body})),
    )


def steps(
    *, ahead: Sequence[int] = AHEAD, late: Sequence[int] = LATE, commands: bool = True
) -> st.SearchStrategy[list[Step]]:
    """Steps of a log, each after so many milliseconds: an event, a resend, nonsense, a command."""
    kinds = [
        st.tuples(st.just("event"), st.sampled_from(ahead), events(late)),
        st.tuples(
            st.just("again"),
            st.sampled_from(ahead),
            st.fixed_dictionaries({"back": st.integers(0, 9)}),
        ),
        st.tuples(st.just("nonsense"), st.just(0), st.just({})),
    ]
    weighted = [kinds[0]] * 8 + kinds
    if commands:
        told = _commands().map(lambda c: ("command", 0, {"type": c[0], **c[1]}))
        weighted += [told] * 3
    return st.lists(st.one_of(weighted), min_size=1, max_size=40)


def logs(
    *, ahead: Sequence[int] = AHEAD, late: Sequence[int] = LATE, commands: bool = True
) -> st.SearchStrategy[list[Entry]]:
    return steps(ahead=ahead, late=late, commands=commands).map(_concrete)


def _concrete(drawn: list[Step]) -> list[Entry]:
    now = T0
    log: list[Entry] = []
    sent: list[bytes] = []
    for number, (kind, ahead, fields) in enumerate(drawn):
        now += ahead
        if kind == "event":
            sent.append(_event(number, now, dict(fields)))
            log.append(Entry("usage", sent[-1], now))
        elif kind == "again" and sent:
            log.append(Entry("usage", sent[-1 - fields["back"] % len(sent)], now))
        elif kind == "command":
            document = dict(fields)
            told = command(document.pop("type"), **(document | {"id": f"c{number}"}))
            log.append(Entry("command", told, now))
        else:
            log.append(Entry("usage", b'{"agent":', now))
    return log


def _event(number: int, now: int, fields: dict[str, Any]) -> bytes:
    document = {"id": f"e{number}", "time": format_ms(now + fields.pop("late")), **fields}
    if "producer" in document:
        # Its numbers have gaps: those of the other producer.
        document["seq"] = number
    return json.dumps(document).encode()


@dataclass(frozen=True)
class Outcome:
    lines: list[str | bytes]
    verdicts: list[bytes]
    letters: list[bytes]
    books: Books
    log: Log


def play(
    log: Sequence[Entry], *, close_after: Collection[int] = (), restart_after: Collection[int] = ()
) -> Outcome:
    """Plays a log record by record; the books are closed at its end and for every command."""
    played = Log(now=T0)
    for at, entry in enumerate(log):
        played.now = entry.stamp_ms
        if entry.kind == "command":
            played.tell(entry.value)
        else:
            played.send(entry.value)
        if at in close_after or at in restart_after:
            played.close()
        if at in restart_after:
            played.restart()
    played.close()
    return Outcome(
        played.lines,
        [_encode(verdict) for verdict in played.verdicts],
        [_encode(letter) for letter in played.letters],
        played.books,
        played,
    )


def sums_of_minutes(outcome: Outcome) -> dict[tuple[str, ...], list[int]]:
    """What the table `spend` adds up to, as `oracle_minutes` says it of charges."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in outcome.books.spend_rows().values():
        lane = (row.agent, row.provider, row.model, row.connection, row.tool, row.user)
        into = sums[(row.workspace, *lane, row.customer, row.minute)]
        into[0] += parse_usd(row.cost)
        into[1] += row.input_tokens
        into[2] += row.output_tokens
    return dict(sums)


def entries_at_rest(books: Books) -> dict[str, object]:
    """The live entries without what depends on where the books were closed.

    That is: the version of an entry, which is that of the books that wrote it last, and how the
    fingerprints of one hour, and the free calls of one minute, are spread over entries, one for
    each closing.
    """
    at_rest: dict[str, object] = {}
    prints: dict[int, set[bytes]] = {}
    free: dict[int, list[object]] = {}
    for key, entry in books.entries().items():
        if isinstance(entry, FingerprintsEntry):
            raw = entry.fingerprints
            marks = {raw[at : at + 8] for at in range(0, len(raw), 8)}
            prints.setdefault(entry.hour, set()).update(marks)
        elif isinstance(entry, FreeCallsEntry):
            free.setdefault(entry.minute, []).extend(json.loads(bytes(entry.calls)))
        else:
            at_rest[key] = _without_version(books.live[key])
    at_rest |= {f"free|{minute}": sorted(calls, key=_offset) for minute, calls in free.items()}
    return at_rest | {f"fingerprints|{hour}": marks for hour, marks in prints.items()}


def _offset(call: object) -> int:
    assert isinstance(call, list)
    return int(call[2])


def _without_version(record: bytes) -> object:
    fields: dict[str, object] = json.loads(record)
    if fields["type"] in {"spend", "account"}:
        del fields["version"]
    return fields
