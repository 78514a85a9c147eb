"""The report of a session in this tool's shape: floats, each the nearest to an exact sum."""

from tollway.compat.agentbudget.books import Line, SessionBooks
from tollway.compat.amounts import as_float

__all__ = ["Report", "report_of"]

# JSON, as this tool documents it.
Report = dict[str, object]


def report_of(
    books: SessionBooks, duration_seconds: float | None, terminated_by: str | None
) -> Report:
    with books.lock:
        left = books.left_pico() or 0
        return {
            "session_id": books.session,
            "budget": as_float(books.hard_pico),
            "total_spent": as_float(books.limits.spent_pico),
            "remaining": as_float(max(0, left)),
            "breakdown": {
                "llm": _part(books, "llm", "by_model"),
                "tools": _part(books, "tool", "by_tool"),
            },
            "duration_seconds": duration_seconds,
            "terminated_by": terminated_by,
            # Beyond this tool's own: what is in the total at a guess, because it has no price.
            "unpriced_events": books.unpriced_events,
            "events": [_event(line) for line in books.lines],
        }


def _part(books: SessionBooks, kind: str, by_name: str) -> Report:
    sums = {name: each for (of, name), each in books.totals.items() if of == kind}
    return {
        "total": as_float(sum(cost for cost, _ in sums.values())),
        "calls": sum(calls for _, calls in sums.values()),
        by_name: {name: as_float(cost) for name, (cost, _) in sums.items() if name},
    }


def _event(line: Line) -> Report:
    entry = line.entry
    event: Report = {
        "cost": as_float(line.counted_pico),
        "cost_type": entry.kind,
        "timestamp": line.at_s,
    }
    if entry.kind == "llm":
        event |= {
            "model": entry.model,
            "input_tokens": entry.input_tokens,
            "output_tokens": entry.output_tokens,
        }
    elif entry.tool:
        event["tool_name"] = entry.tool
    if line.metadata is not None:
        event["metadata"] = dict(line.metadata)
    if entry.cost_pico is None:
        event["unpriced"] = True
    return event
