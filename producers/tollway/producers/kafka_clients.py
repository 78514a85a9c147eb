"""Opening and letting go of librdkafka's clients, alike for the outbox and the tail."""

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer

from tollway.producers.errors import BadSettings

__all__ = ["never_free", "opened", "raw"]

Client = TypeVar("Client", Producer, Consumer)


def opened(kind: Callable[[dict[str, Any]], Client], config: dict[str, Any]) -> Client:
    try:
        return kind(config)
    except KafkaException as error:
        raise BadSettings(f"librdkafka refuses a setting: {error.args[0].str()}") from None


def never_free(client: object) -> None:
    """Freeing a client in a forked child ends the child: its threads are the parent's."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))


def raw(text: str | bytes | None) -> bytes:
    return text if isinstance(text, bytes) else (text or "").encode()
