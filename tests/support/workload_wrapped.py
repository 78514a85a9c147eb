"""Some usage events of a log as CloudEvents, of both modes: what they say is the same."""

import json
from typing import Any

from workload_events import share

__all__ = ["wrapped"]

# Of so many records one of each mode.
_EVERY = 60
_ATTRIBUTE_OF = {
    "id": "id",
    "source": "source",
    "time": "time",
    "agent": "subject",
    "workspace": "partitionkey",
}


def wrapped(event: dict[str, Any], plain: bytes) -> tuple[bytes, dict[str, str] | None]:
    """Value and headers; by the plain event alone, so that a log stays a function of its seed.

    A CloudEvent has a source: an event without one stays as it is.
    """
    mode = share(plain.decode(), _EVERY)
    if mode > 1 or "source" not in event:
        return plain, None
    attributes = {"specversion": "1.0", "type": "tollway.usage.v1"}
    attributes |= {name: str(event[field]) for field, name in _ATTRIBUTE_OF.items()}
    data = {field: value for field, value in event.items() if field not in _ATTRIBUTE_OF}
    if mode == 0:
        headers = {f"ce_{name}": text for name, text in attributes.items()}
        return _json(data), headers | {"content-type": "application/json"}
    content_type = "application/cloudevents+json; charset=UTF-8"
    return _json({**attributes, "data": data}), {"content-type": content_type}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()
