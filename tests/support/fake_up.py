"""`tollway up` with small stand-ins for its children: what a supervisor sees of them is real.

Started as a program of its own, because signals and dying parents need one.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tollway.cli.up import run_up
from tollway.cli.up.commands import Commands, Place

# Answers /readyz, and writes down when it starts and stops, and with what arguments. A worker says
# that it owns all partitions; with one that is not handed out, all but that until a file is there.
_CHILD = """
import http.server, json, signal, sys, threading
import pathlib
name, port, diary, partitions, withheld, *rest = sys.argv[1:]

def note(what):
    with open(diary, "a") as lines:
        print(json.dumps([name, what, rest]), file=lines, flush=True)

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        owned = {str(number): {"ready": True} for number in range(int(partitions))}
        if withheld and not pathlib.Path(withheld).exists():
            owned.popitem()
            note("asked")
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"ready": True, "partitions": owned}).encode())

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", int(port)), Ready)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
note("started")
server.serve_forever()
note("stopped")
"""

_RESTORE = """
import json, pathlib, sys
result, life = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
number = int(life.read_text()) + 1 if life.exists() else 1
life.write_text(str(number))
result.write_text(json.dumps({"life": number, "records": 7 * (number - 1)}))
"""


class FakeCommands(Commands):
    def __init__(self, directory: Path, broken: str) -> None:
        self._directory = directory
        self._broken = broken

    def worker(self, place: Place, port: int) -> Sequence[str]:
        return self._child("worker", port, place, None)

    def store(self, place: Place, api_port: int, life: int | None) -> Sequence[str]:
        return self._child("store", api_port, place, life)

    def restore(self, place: Place, result: Path) -> Sequence[str]:
        if self._broken == "restore":
            return [sys.executable, "-c", "raise SystemExit('the disk is full')"]
        return [sys.executable, "-c", _RESTORE, str(result), str(self._directory / "life")]

    def _child(self, name: str, port: int, place: Place, life: int | None) -> Sequence[str]:
        if self._broken == f"{name} for good":
            return [sys.executable, "-c", "import sys; print('two writers'); sys.exit(78)"]
        if self._broken == name:
            return [sys.executable, "-c", "raise SystemExit('no such setting')"]
        late = name == "worker" and self._broken == "partition"
        withheld = str(self._directory / "handed-out") if late else ""
        return [
            *[sys.executable, "-c", _CHILD, name, str(port), str(self._directory / "diary")],
            *[str(place.partitions), withheld],
            *[f"embedded={place.embedded}", f"life={life}"],
        ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--brokers")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--broken", default="")
    options = parser.parse_args()
    return run_up(
        options.directory,
        port=options.port,
        brokers=options.brokers,
        workers=options.workers,
        commands=FakeCommands(options.directory, options.broken),
    )


if __name__ == "__main__":
    sys.exit(main())
