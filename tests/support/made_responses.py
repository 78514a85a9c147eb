"""Bodies of providers, made for one trap each, and what is said of them."""

from typing import Any

from tollway.producers.responses import ResponseUsage

__all__ = ["Body", "answer", "chat", "generated", "message", "parts"]

Body = dict[str, Any]


def chat(usage: Body, **more: object) -> Body:
    message = {"role": "assistant", "content": "hello"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c-1", "object": "chat.completion", "choices": [choice], "usage": usage, **more}


def answer(usage: Body, **more: object) -> Body:
    return {"id": "resp_1", "object": "response", "status": "completed", "usage": usage, **more}


def message(usage: Body, *content: Body) -> Body:
    return {"id": "msg_1", "type": "message", "content": list(content), "usage": usage}


def generated(usage: Body, **candidate: object) -> Body:
    return {"candidates": [{"finishReason": "STOP", **candidate}], "usageMetadata": usage}


def parts(usage: ResponseUsage) -> dict[str, object]:
    """What is said of a response but who answered."""
    names = {"id", "source", "provider", "model"}
    return {name: value for name, value in usage.fields().items() if name not in names}
