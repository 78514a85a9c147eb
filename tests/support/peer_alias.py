"""A pytest plugin for peers' own tests, and what stands in for a peer's package: our names.

The plugin writes what became of each test to the file that ``PEER_REPORT`` names. `stand_in` writes
a module by the peer's name, so that its tests' own child processes find it too.
"""

import asyncio
import importlib
import inspect
import json
import os
import pkgutil
import sys
from pathlib import Path

import pytest

__all__ = [
    "alias",
    "pytest_configure",
    "pytest_pyfunc_call",
    "pytest_runtest_logreport",
    "pytest_sessionfinish",
    "stand_in",
]

# `passed`, `failed` or `skipped` by test.
_outcomes: dict[str, str] = {}


def alias(theirs: str, ours: str) -> None:
    package = importlib.import_module(ours)
    sys.modules[theirs] = package
    for found in pkgutil.walk_packages(package.__path__, f"{ours}."):
        sys.modules[theirs + found.name.removeprefix(ours)] = importlib.import_module(found.name)


def stand_in(theirs: str, ours: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    support = str(Path(__file__).parent)
    (directory / f"{theirs}.py").write_text(
        f"import sys\nsys.path.append({support!r})\n"
        f"import peer_alias\npeer_alias.alias({theirs!r}, {ours!r})\n"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "asyncio: a coroutine")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a coroutine, for which there may be no plugin."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    path, *names = report.nodeid.split("::")
    name = "::".join([Path(path).stem, *names])
    # Of its three parts the worst: a fixture may fail after the test has passed.
    if _outcomes.get(name) in {None, "passed"}:
        _outcomes[name] = report.outcome


def pytest_sessionfinish() -> None:
    Path(os.environ["PEER_REPORT"]).write_text(json.dumps(_outcomes))
