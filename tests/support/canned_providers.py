"""OpenAI's and Anthropic's doors on a local port: short answers with usage, for any model."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

__all__ = ["canned_providers"]

_numbers = count()
Document = dict[str, object]


@contextmanager
def canned_providers() -> Iterator[str]:
    """The address; clients take it as their base."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/chat/completions"):
            if asked.get("stream"):
                self._say("text/event-stream", _chat_stream(asked))
            else:
                self._say("application/json", json.dumps(_chat(asked)).encode())
        elif self.path.endswith("/messages"):
            self._say("application/json", json.dumps(_message(asked)).encode())
        else:
            self.send_error(404)

    def _say(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: tests read what their subject says."""


_USAGE: Document = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}


def _chat(asked: Document) -> Document:
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": asked["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello"},
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
    }


def _chat_stream(asked: Document) -> bytes:
    start: Document = {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": asked["model"],
    }
    choice = {"index": 0, "delta": {"content": "hello"}, "finish_reason": None}
    chunks: list[Document] = [{**start, "choices": [choice]}]
    options = asked.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        chunks.append({**start, "choices": [], "usage": _USAGE})
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*events, "data: [DONE]\n\n"]).encode()


def _message(asked: Document) -> Document:
    return {
        "id": f"msg_{next(_numbers)}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 120, "output_tokens": 30},
    }
