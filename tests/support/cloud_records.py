"""One usage event as records of CloudEvents, in either mode."""

import json

from ledgers import Given

__all__ = ["USED", "binary", "structured"]

USED = {"provider": "acme", "model": "small", "input_tokens": 1_000_000, "output_tokens": 10}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "chatcmpl-1",
    "source": "openai",
    "type": "tollway.usage.v1",
    "time": "2026-03-10T12:00:00Z",
    "subject": "bot",
    "partitionkey": "acme",
}


def binary(data: object, **attributes: str | None) -> Given:
    """In binary mode; an attribute given as None is left out."""
    told = {name: text for name, text in {**ATTRIBUTES, **attributes}.items() if text is not None}
    headers: list[tuple[str, str | bytes | None]] = [
        (f"ce_{name}", text.encode()) for name, text in told.items()
    ]
    return Given(json.dumps(data).encode(), [*headers, ("content-type", b"application/json")])


def structured(
    data: object, content_type: str = "application/cloudevents+json", **attributes: object
) -> Given:
    told = {name: text for name, text in {**ATTRIBUTES, **attributes}.items() if text is not None}
    value = json.dumps({**told, "data": data}).encode()
    return Given(value, [("content-type", content_type.encode())])
