"""Programs of docs/examples/languages: what each needs, and how it is built and run."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from brokers import kafka_home
from tollway.cli.kafka.apache import fetch_kafka

__all__ = ["PROGRAMS", "Program", "cache_directory", "run"]

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "languages"
_BUILD_S = 600.0
_RUN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Program:
    """`ready` fetches and builds what is not there yet and gives the command to run.

    `source` is what its events say in the field `source`.
    """

    name: str
    needs: tuple[str, ...]
    source: str
    ready: Callable[[Path], list[str]]

    def missing(self) -> str | None:
        absent = [tool for tool in self.needs if shutil.which(tool) is None]
        return (
            f"{self.name} did not run: {', '.join(absent)} is not on the PATH" if absent else None
        )


def cache_directory() -> Path:
    """`TOLLWAY_TEST_CACHE`, else in the user's own cache: never in the tree."""
    given = os.environ.get("TOLLWAY_TEST_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tollway-tests"


def run(command: list[str], bootstrap: str, workspaces: list[str]) -> None:
    """Runs a program for workspaces; it must end well."""
    _done(
        [*command, *workspaces],
        timeout_s=_RUN_S,
        # Java takes the names of its arguments' bytes from the locale.
        env={**os.environ, "TOLLWAY_BROKERS": bootstrap, "LC_ALL": "C.UTF-8"},
    )


def _done(
    command: list[str], timeout_s: float, cwd: Path | None = None, env: dict[str, str] | None = None
) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=env, timeout=timeout_s, capture_output=True, text=True, check=False
    )
    said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
    assert done.returncode == 0, f"{command[:4]} ended with {done.returncode}:\n{said}"


def _kcat(script: str) -> Callable[[Path], list[str]]:
    return lambda _: [str(EXAMPLES / "kcat" / script)]


def _node(cache: Path) -> list[str]:
    """In a directory for each lock file, beside the packages that it names."""
    example = EXAMPLES / "node"
    lock = (example / "package-lock.json").read_bytes()
    directory = cache / f"node-{hashlib.sha256(lock).hexdigest()[:12]}"
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "send.mjs"):
        shutil.copy2(example / name, directory / name)
    if not (directory / "complete").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        _done(command, _BUILD_S, cwd=directory)
        (directory / "complete").touch()
    return ["node", str(directory / "send.mjs")]


def _go(cache: Path) -> list[str]:
    cache.mkdir(parents=True, exist_ok=True)
    built = cache / "send-go"
    command = ["go", "build", "-buildvcs=false", "-mod=readonly", "-o", str(built), "."]
    _done(command, _BUILD_S, cwd=EXAMPLES / "go")
    return [str(built)]


def _java(_: Path) -> list[str]:
    jars = fetch_kafka(kafka_home())
    return ["java", "-cp", f"{jars}/*", str(EXAMPLES / "java" / "Send.java")]


PROGRAMS = (
    Program(name="kcat", needs=("kcat",), source="example-kcat", ready=_kcat("send.sh")),
    Program(
        name="kcat with CloudEvents",
        needs=("kcat",),
        source="/example/kcat",
        ready=_kcat("send-cloudevent.sh"),
    ),
    Program(name="node", needs=("node", "npm"), source="example-node", ready=_node),
    Program(name="go", needs=("go",), source="example-go", ready=_go),
    Program(name="java", needs=("java",), source="example-java", ready=_java),
)
