"""ClickHouse's HTTP interface, as much of it as clickhouse-connect uses, served by chDB's engine.

No ClickHouse server can be installed where these tests run. What is behind this fixture is the same
engine, in this process; what is in front is clickhouse-connect's own HTTP path, byte for byte.
"""

import gzip
import re
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import lz4.frame  # type: ignore[import-untyped]  # it has no stubs
from chdb.state.sqlitelike import Connection

__all__ = ["ClickHouseHttp", "serving_clickhouse"]

# Parameters of the interface itself; all others are settings or `param_` values.
_TRANSPORT: Final = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "query",
        "query_id",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "wait_end_of_query",
    }
)
_INSERT: Final = re.compile(
    rb"\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)[ \t]*(?:\r?\n|$)", re.IGNORECASE | re.DOTALL
)
_FORMAT: Final = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE: Final = re.compile(r"Code: (\d+)")
_AUTHENTICATION_FAILED: Final = 516


class _Refused(Exception):
    """The engine's error, as a server words it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ClickHouseHttp:
    """A server on 127.0.0.1 over the engine at `path`; it can go away and come back."""

    def __init__(self, path: Path, password: str | None = None) -> None:
        self.path = path
        self.password = password
        self.port = 0
        # Each request as (method, query parameters, first words of the statement).
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def dsn(self) -> str:
        login = "" if self.password is None else f"default:{quote(self.password, safe='')}@"
        return f"http://{login}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serves, on the port it had before if there was one."""
        fixture = self

        class Handler(_Handler):
            served = fixture

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """From now on connections are refused."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None


@contextmanager
def serving_clickhouse(path: Path, password: str | None = None) -> Iterator[ClickHouseHttp]:
    served = ClickHouseHttp(path, password)
    served.start()
    try:
        yield served
    finally:
        served.stop()


class _Handler(BaseHTTPRequestHandler):
    served: ClickHouseHttp

    # A connection serves one request, so that none outlives `stop`.
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(HTTPStatus.OK, b"Ok.\n", {})
        else:
            self._statement(b"")

    def do_POST(self) -> None:
        self._statement(_decoded(self._body(), self.headers.get("Content-Encoding")))

    def log_message(self, format: str, *args: object) -> None:
        """The tests speak for themselves."""

    def _statement(self, body: bytes) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        head = parameters.get("query", "").encode()
        statement = head + b"\n" + body if head and body else head or body
        first_words = statement[:80].decode(errors="replace")
        self.served.requests.append((self.command, parameters, first_words))
        try:
            self._check()
            answer, fmt = _Session(self.served.path, parameters).run(statement)
        except _Refused as error:
            headers = {"X-ClickHouse-Exception-Code": str(error.code)}
            forbidden = error.code == _AUTHENTICATION_FAILED
            status = HTTPStatus.FORBIDDEN if forbidden else HTTPStatus.BAD_REQUEST
            self._answer(status, str(error).encode(), headers)
            return
        headers = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Query-Id": "fixture"}
        if fmt is not None:
            headers["X-ClickHouse-Format"] = fmt
        if parameters.get("enable_http_compression") == "1":
            answer, encoding = _encoded(answer, self.headers.get("Accept-Encoding", ""))
            if encoding is not None:
                headers["Content-Encoding"] = encoding
        self._answer(HTTPStatus.OK, answer, headers)

    def _check(self) -> None:
        if self.headers.get("Content-Type", "").startswith("multipart/"):
            raise _Refused(48, "Code: 48. DB::Exception: forms are not served here")
        if self.served.password is None:
            return
        scheme, _, login = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(login).decode() != f"default:{self.served.password}":
            raise _Refused(
                _AUTHENTICATION_FAILED,
                "Code: 516. DB::Exception: default: Authentication failed (AUTHENTICATION_FAILED)",
            )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):
            # A client may be killed while it waits.
            self.wfile.write(body)


class _Session:
    """One request: a handle of its own, so that settings and `USE` end with it."""

    def __init__(self, path: Path, parameters: dict[str, str]) -> None:
        self._path = path
        self._database = parameters.get("database")
        self._values = {
            name.removeprefix("param_"): value
            for name, value in parameters.items()
            if name.startswith("param_")
        }
        self._settings = {
            name: value
            for name, value in parameters.items()
            if name not in _TRANSPORT and not name.startswith("param_")
        }

    def run(self, statement: bytes) -> tuple[bytes, str | None]:
        """The answer's bytes, and its format where the statement has rows to answer with."""
        connection = Connection(str(self._path.resolve()))
        try:
            if self._database:
                connection.query(f"USE `{self._database}`", "TabSeparated")
            insert = _INSERT.match(statement)
            if insert is not None:
                self._insert(connection, insert, statement[insert.end() :])
                return b"", None
            for name, value in self._settings.items():
                connection.query(f"SET {name} = {_quoted(value)}", "TabSeparated")
            return self._select(connection, statement)
        except RuntimeError as error:
            message = str(error)
            code = _CODE.search(message)
            raise _Refused(int(code[1]) if code else 1002, message) from error
        finally:
            connection.close()

    def _insert(self, connection: Connection, insert: re.Match[bytes], rows: bytes) -> None:
        pairs = ", ".join(f"{name} = {_quoted(value)}" for name, value in self._settings.items())
        settings = f" SETTINGS {pairs}" if pairs else ""
        into, fmt = insert[1].decode(), insert[2].decode()
        # The engine reads binary rows only from files.
        with tempfile.NamedTemporaryFile(suffix=".rows") as file:
            file.write(rows)
            file.flush()
            connection.query(
                f"{into} FROM INFILE {_quoted(file.name)}{settings} FORMAT {fmt}", "TabSeparated"
            )

    def _select(self, connection: Connection, statement: bytes) -> tuple[bytes, str | None]:
        text = statement.decode()
        given = _FORMAT.search(statement)
        if given is not None:
            fmt = given[1].decode()
            rows: bytes = connection.query(text, fmt, params=self._values).bytes() or b""
            return rows, fmt
        # A statement with rows answers with their names at least; DDL answers with nothing.
        named = connection.query(text, "TabSeparatedWithNames", params=self._values).bytes() or b""
        if not named:
            return b"", None
        return named[named.find(b"\n") + 1 :], "TabSeparated"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _decoded(body: bytes, encoding: str | None) -> bytes:
    if encoding == "lz4":
        return bytes(lz4.frame.decompress(body))
    if encoding == "gzip":
        return gzip.decompress(body)
    assert encoding is None, f"bodies in {encoding} are not served here"
    return body


def _encoded(body: bytes, accepted: str) -> tuple[bytes, str | None]:
    """Compressed by the first method that both sides have."""
    for encoding in (each.strip() for each in accepted.split(",")):
        if encoding == "lz4":
            return bytes(lz4.frame.compress(body)), encoding
        if encoding == "gzip":
            return gzip.compress(body), encoding
    return body, None
