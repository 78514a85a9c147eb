"""The registry of tasks: a file of JSON lines that outlives the process, and that others share.

A file and not the brokers, because who comes from a registry in memory has none, and reads it as a
dictionary. Each task is metered as well: with brokers, the workspace's books have it too.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tollway.compat.apeiros.months import Month, TaskRecord, month_of
from tollway.contract.moments import format_ms

__all__ = ["DEFAULT_STATE", "Registry"]

DEFAULT_STATE: Final = Path(".tollway/apeiros.jsonl")
# Tasks that wait for a file that cannot be written; the oldest leave.
MAX_UNWRITTEN: Final = 10_000
_APPENDING: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_CHUNK: Final = 1024 * 1024

_log = logging.getLogger("tollway")
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(TaskRecord)


class Registry(Mapping[str, list[dict[str, object]]]):
    """By customer, the tasks that ended in the present month (UTC), in whatever process.

    A line is one `write`, so a crash leaves at most a torn last line, which is passed over, and
    processes on one machine do not mix theirs. It is not forced to the disk, for which an agent
    would wait: it outlives the process, and of a power cut all but the last seconds. What cannot be
    written waits in memory, and is said.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._given = path
        self._lock = threading.RLock()
        self._path: Path | None = None
        self._read = 0
        self._rest = b""
        self._month = Month("")
        # What the file has not taken; it is offered again with the next one.
        self._unwritten: deque[TaskRecord] = deque(maxlen=MAX_UNWRITTEN)

    def keep_in(self, path: Path | str | None) -> None:
        """Another file; None is ``TOLLWAY_STATE``, else one in the working directory."""
        with self._lock:
            self._given = None if path is None else Path(path)
            self._path = None

    def add(self, record: TaskRecord) -> None:
        """Never raises for a file that cannot be written: the agent goes on."""
        with self._lock:
            month = self.month()
            held = bool(self._unwritten)
            self._unwritten.append(record)
            try:
                while self._unwritten:
                    self._append(self._unwritten[0])
                    self._unwritten.popleft()
            except OSError as error:
                if not held:
                    _log.error("the state file takes no tasks: %s", type(error).__name__)
                month.take(record)
                return
            if held:
                # What was only in memory is in the file by now.
                self._begin(month.name)

    def month(self) -> Month:
        """The present month, with what other processes have written by now."""
        with self._lock:
            name = month_of(format_ms(time.time_ns() // 1_000_000))
            if self._path is None or self._month.name != name:
                self._path = self._path or self._place()
                self._begin(name)
            self._follow()
            return self._month

    def month_named(self, name: str) -> Month:
        """Any month that the file holds."""
        with self._lock:
            self.month()
            past = Registry(self._path)
            past._path = self._path
            past._begin(name)
            past._follow()
            return past._month

    def __getitem__(self, customer_id: str) -> list[dict[str, object]]:
        return self.month().listed[customer_id]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.month().listed))

    def __len__(self) -> int:
        return len(self.month().listed)

    def _place(self) -> Path:
        named = os.environ.get("TOLLWAY_STATE")
        return self._given or (Path(named) if named else DEFAULT_STATE)

    def _begin(self, name: str) -> None:
        self._month, self._read, self._rest = Month(name), 0, b""
        for record in self._unwritten:
            self._month.take(record)

    def _append(self, record: TaskRecord) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, _APPENDING, 0o600)
        try:
            torn = os.fstat(descriptor).st_size > 0
            if torn:
                os.lseek(descriptor, -1, os.SEEK_END)
                torn = os.read(descriptor, 1) != b"\n"
            # A line that a crash left torn must not swallow this one.
            os.write(descriptor, (b"\n" if torn else b"") + _encode(record) + b"\n")
        finally:
            os.close(descriptor)

    def _follow(self) -> None:
        """Reads what has come since."""
        assert self._path is not None
        try:
            with self._path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._read:
                    # Somebody has cut or replaced it.
                    self._begin(self._month.name)
                file.seek(self._read)
                while chunk := file.read(_CHUNK):
                    self._read += len(chunk)
                    self._take(chunk)
        except FileNotFoundError:
            if self._read:
                self._begin(self._month.name)
        except OSError as error:
            _log.error("the state file cannot be read: %s", type(error).__name__)

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            try:
                if line:
                    self._month.take(_decoder.decode(line))
            except msgspec.MsgspecError:
                _log.warning("a line of the state file is no task; it is passed over")
