"""The API on a port of its own, as the command line meets it."""

from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server
from threading import Thread

import uvicorn
from fastapi import FastAPI

__all__ = ["served"]


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address, until the end of the block."""
    # Listening already, so the first request waits instead of failing.
    listener = create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
