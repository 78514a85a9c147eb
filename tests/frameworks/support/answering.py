"""A provider replaced by a local HTTP server: it replays answers and keeps every request it saw."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

import msgspec

__all__ = ["Answer", "ReplayServer", "Reply", "Seen"]

# How long the server waits for a test that holds a stream back.
HOLD_S: Final = 20.0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One request that reached the server."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 (whatever the SDK sent)
        return json.loads(self.body)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says. `events` make it a stream, sent one by one instead of the body.

    `hold_after`: after so many events it waits until the test says `server.release()`.
    `break_after`: after so many events the connection is cut, with no end of the stream.
    `pause_s`: between two events.
    """

    status: int = 200
    content_type: str = "application/json"
    body: bytes = b""
    events: tuple[bytes, ...] = ()
    headers: dict[str, str] = {}
    hold_after: int | None = None
    break_after: int | None = None
    pause_s: float = 0.0


# A function answers by what was asked.
Reply = Answer | Callable[[Seen], Answer]


class _Route:
    """Answers for one path: one after the other, then the last again, or around."""

    def __init__(self, replies: tuple[Reply, ...], in_turn: bool) -> None:
        self._replies = replies
        self._in_turn = in_turn
        self._asked = 0

    def next(self) -> Reply:
        number = self._asked
        self._asked += 1
        if self._in_turn:
            return self._replies[number % len(self._replies)]
        return self._replies[min(number, len(self._replies) - 1)]


class ReplayServer:
    """Use it in a ``with``; the fixture `server` does. `url` is a provider's host: add `/v1`."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._requests: list[Seen] = []
        # How many events of streams have gone out.
        self.sent_events = 0
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.replay = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, also those that no answer was set for."""
        with self._lock:
            return list(self._requests)

    def on(self, path: str, *replies: Reply, in_turn: bool = False) -> None:
        """Answers requests whose path contains `path` (of several, the longest wins).

        One answer after the other, then the last again: an error first is an SDK's retry. With
        `in_turn` around and around.
        """
        self._routes[path] = _Route(replies, in_turn)

    def release(self) -> None:
        """Lets go the streams that `hold_after` holds back, and those to come."""
        self._released.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer_to(self, seen: Seen) -> Answer:
        with self._lock:
            self._requests.append(seen)
            path = max((part for part in self._routes if part in seen.path), key=len, default=None)
            reply = None if path is None else self._routes[path].next()
        if reply is None:
            said = {"error": {"message": f"no answer is set for {seen.path}", "type": "test"}}
            return Answer(status=404, body=json.dumps(said).encode())
        return reply if isinstance(reply, Answer) else reply(seen)

    def hold(self) -> None:
        self._released.wait(HOLD_S)

    def pause(self, seconds: float) -> None:
        self._released.wait(seconds)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    # Do not wait for connections that clients keep open.
    block_on_close = False
    # Two hundred clients may come at once.
    request_queue_size = 256
    replay: ReplayServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that lets go of a stream is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise the last bytes of an answer wait 40 ms for the client's acknowledgement.
    disable_nagle_algorithm = True
    server: _Http

    def _handle(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if self.headers.get("transfer-encoding") == "chunked":
            body = self._chunked_body()
        else:
            body = self.rfile.read(length)
        seen = Seen(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        answer = self.server.replay.answer_to(seen)
        if answer.events:
            self._stream(answer)
        else:
            self._whole(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle

    def _chunked_body(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)

    def _whole(self, answer: Answer) -> None:
        self._head(answer)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _stream(self, answer: Answer) -> None:
        replay = self.server.replay
        self._head(answer)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(answer.events):
            if number == answer.break_after:
                self.close_connection = True
                return
            if number == answer.hold_after:
                replay.hold()
            if number and answer.pause_s:
                replay.pause(answer.pause_s)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            replay.sent_events += 1
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Not to the terminal: `requests` has them."""
