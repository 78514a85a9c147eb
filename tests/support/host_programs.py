"""Agents' processes: programs that run in an interpreter of their own, with or without brokers."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

__all__ = ["nobody_listens", "run"]

DEADLINE_S = 30


def nobody_listens() -> str:
    return "127.0.0.1:9"


def run(
    program: str, tmp_path: Path, *, brokers: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own, as an agent's process would."""
    variables = {name: text for name, text in os.environ.items() if "TOLLWAY" not in name}
    if brokers is not None:
        variables["TOLLWAY_BROKERS"] = brokers
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
