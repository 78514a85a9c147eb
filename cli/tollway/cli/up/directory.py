"""The directory of one `tollway up`: its lock, `run.json` and logs of limited size."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

__all__ = ["AlreadyRunning", "Pids", "RunDirectory", "RunFile", "Unusable"]

MAX_LOG_BYTES = 8 * 1024 * 1024


class AlreadyRunning(RuntimeError):
    """Another `tollway up` has this directory."""


class Unusable(RuntimeError):
    """The directory cannot be made, or not be written to."""


class Pids(TypedDict):
    """None, or absent from the list, while a process is being repaired."""

    broker: int | None
    worker: list[int]
    sink: int | None


class RunFile(TypedDict):
    broker: str
    api: str
    key: str | None
    pids: Pids


class RunDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self._run_file = self.path / "run.json"

    @property
    def clickhouse(self) -> str:
        return f"chdb://{self.path / 'chdb'}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Ours until the end of the block, or of the process, however that comes."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Unusable(
                f"{self.path} cannot hold the data: {error.strerror}; name another --dir"
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(descriptor, 32, 0).decode() or "unknown"
                raise AlreadyRunning(
                    f"tollway already runs in {self.path} (pid {owner}); its addresses are in"
                    f" {self._run_file}. Stop it with `kill {owner}`, or name another --dir"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            self.forget_run()
            yield
        finally:
            os.close(descriptor)

    def write_run(self, run: RunFile) -> None:
        """Readers see the old file or the new one, never half of it."""
        part = self._run_file.with_suffix(".part")
        part.write_text(json.dumps(run, indent=1) + "\n")
        part.replace(self._run_file)

    def forget_run(self) -> None:
        self._run_file.unlink(missing_ok=True)

    def limit_logs(self) -> None:
        """A log over the limit becomes its ``.1``; lines written in that instant are lost."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > MAX_LOG_BYTES:
                shutil.copyfile(log, log.with_name(log.name + ".1"))
                # Children append, so they go on at the new end.
                os.truncate(log, 0)
