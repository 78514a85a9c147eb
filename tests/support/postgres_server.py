"""A real PostgreSQL server from a wheel, on a socket of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

__all__ = ["running_postgres"]


@contextmanager
def running_postgres(directory: Path) -> Iterator[str]:
    """How to connect to it. It runs until the end of the block, as no user that is root."""
    # The wheel wants a place for its locks, and warns where the machine names none.
    with mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(directory)}):
        from pgserver.postgres_server import get_server

        server = get_server(directory / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
