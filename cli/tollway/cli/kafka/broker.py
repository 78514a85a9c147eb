"""What every broker that we start ourselves offers, and how to wait until one serves."""

import random
import socket
import time
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tollway.cli.children import Child

__all__ = ["Broker", "BrokerFailed", "free_port", "is_taken", "wait_until_serving"]

_LOWEST_PORT = 15_000
_DEFAULT_EPHEMERAL_PORT = 32_768
_METADATA_TIMEOUT_S = 2.0
_RETRY_S = 0.1


class BrokerFailed(RuntimeError):
    """A broker did not start, or is not there to be started."""


class Broker(Protocol):
    """A broker on this machine. `start` returns when it serves; `kill` is ``kill -9``."""

    @property
    def kind(self) -> str: ...

    @property
    def bootstrap(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...


def is_taken(port: int) -> bool:
    """Whether somebody listens on the port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that has just ended is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, below those that outgoing connections get.

    A client that keeps trying a dead broker's port from the ephemeral range ends up connected to
    itself and holds the port; then the broker cannot come back.
    """
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
        first_ephemeral = int(text.split()[0])
    except FileNotFoundError:
        first_ephemeral = _DEFAULT_EPHEMERAL_PORT
    if first_ephemeral <= _LOWEST_PORT:
        first_ephemeral = 65_536
    for _ in range(100):
        port = random.randrange(_LOWEST_PORT, first_ephemeral)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BrokerFailed(f"no free port of 127.0.0.1 between {_LOWEST_PORT} and {first_ephemeral}")


def wait_until_serving(child: Child, bootstrap: str, timeout_s: float) -> None:
    """Return once the broker answers with itself as a member; else end it and say why."""
    host, port = bootstrap.rsplit(":", 1)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not child.running:
            raise BrokerFailed(
                f"{child.name} ended with exit code {child.exit_code} before it served"
                f" {bootstrap}; the end of {child.log}:\n{child.tail()}"
            )
        if _listens(host, int(port)) and _answers(bootstrap):
            return
        time.sleep(_RETRY_S)
    tail = child.tail()
    child.kill()
    raise BrokerFailed(
        f"{child.name} did not serve {bootstrap} within {timeout_s:g} s; the end of"
        f" {child.log}:\n{tail}"
    )


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def _answers(bootstrap: str) -> bool:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=_METADATA_TIMEOUT_S).brokers)
    except KafkaException:
        return False
