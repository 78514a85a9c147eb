"""`instrument()` and `uninstrument()`: which adapters there are, and which are attached."""

import functools
import importlib
import importlib.util
import logging
import sys
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple, Protocol, cast

from tollway.producers import process
from tollway.producers.adapters.importing import forget, when_imported
from tollway.producers.ambient import RunBooks

__all__ = ["ADAPTERS", "Adapter", "Attached", "Detach", "instrument", "uninstrument"]

# Takes an adapter off again: everything is as it was before.
Detach = Callable[[], None]

_log = logging.getLogger("tollway")


class Adapter(NamedTuple):
    """Where an adapter lives, and what must be installed for it.

    Its module has `attach() -> Detach`, and imports its framework only there.
    """

    module: str
    # The import name of the framework, and the distribution whose version is told.
    framework: str
    distribution: str


_ROOM: Final = "tollway.producers.adapters"
ADAPTERS: Final[dict[str, Adapter]] = {
    "openai": Adapter(f"{_ROOM}.openai", "openai", "openai"),
    "anthropic": Adapter(f"{_ROOM}.anthropic", "anthropic", "anthropic"),
    "google_genai": Adapter(f"{_ROOM}.google_genai", "google.genai", "google-genai"),
    "litellm": Adapter(f"{_ROOM}.litellm", "litellm", "litellm"),
    "langchain": Adapter(f"{_ROOM}.langchain", "langchain_core", "langchain-core"),
    "crewai": Adapter(f"{_ROOM}.crewai", "crewai", "crewai"),
    "openai_agents": Adapter(f"{_ROOM}.openai_agents", "agents", "openai-agents"),
    "pydantic_ai": Adapter(f"{_ROOM}.pydantic_ai", "pydantic_ai", "pydantic-ai-slim"),
    "claude_agent_sdk": Adapter(
        f"{_ROOM}.claude_agent_sdk", "claude_agent_sdk", "claude-agent-sdk"
    ),
    "autogen": Adapter(f"{_ROOM}.autogen", "autogen_core", "autogen-core"),
    "agent_framework": Adapter(
        f"{_ROOM}.agent_framework", "agent_framework", "agent-framework-core"
    ),
    "mcp": Adapter(f"{_ROOM}.mcp", "mcp", "mcp"),
    "threading": Adapter(f"{_ROOM}.threads", "threading", ""),
}


class _Module(Protocol):
    def attach(self) -> Detach: ...


class Attached(NamedTuple):
    """An adapter that is attached, now or when its framework is imported, and the framework's
    version; "" for the standard library."""

    name: str
    version: str


# Never held while something is imported: an import in another thread may wait for it.
_lock = threading.Lock()
_attached: dict[str, Detach] = {}
_attaching: set[str] = set()
_awaited: set[str] = set()


def instrument(*names: str) -> list[Attached]:
    """Attaches metering to the named frameworks, or to all that are installed; says to which.

    Of all, those that the host has not imported yet are attached when it does: this imports
    nothing that the host does not use. A named one is imported, and raises `ImportError` where it
    is not installed; one of all that cannot be attached is logged, and the host goes on without it.
    """
    unknown = [name for name in names if name not in ADAPTERS]
    if unknown:
        raise ValueError(f"no adapter {', '.join(unknown)}; there are {', '.join(ADAPTERS)}")
    for name in names:
        _attach(name)
    if not names:
        _attach_all()
    # So that `meter.report()` knows from the first call on what a process without brokers spends.
    process.keep_books(_process_books)
    with _lock:
        return [_described(name) for name in ADAPTERS if name in _attached or name in _awaited]


def _attach_all() -> None:
    for name, adapter in ADAPTERS.items():
        if not _is_installed(adapter):
            continue
        if adapter.framework in sys.modules:
            _attach_or_say(name)
        else:
            _awaited.add(name)
            when_imported(adapter.framework, functools.partial(_attach_or_say, name))


def _process_books() -> RunBooks:
    # Here, because prices are 10 MB and a third of a second: a fleet's process does without.
    from tollway.producers.local.opening import process_books

    return process_books()


def uninstrument(*names: str) -> None:
    """Takes the named adapters off again, or all."""
    for name in names or list(ADAPTERS):
        _awaited.discard(name)
        forget(ADAPTERS[name].framework)
        with _lock:
            detach = _attached.pop(name, None)
        if detach is not None:
            detach()


def _attach_or_say(name: str) -> None:
    try:
        _attach(name)
    except Exception as error:  # noqa: BLE001 (a framework of a version that we do not know)
        _log.warning("tollway cannot attach to %s: %s", name, type(error).__name__)
    finally:
        _awaited.discard(name)


def _attach(name: str) -> None:
    with _lock:
        if name in _attached or name in _attaching:
            return
        _attaching.add(name)
    try:
        module = cast(_Module, importlib.import_module(ADAPTERS[name].module))
        detach = module.attach()
    finally:
        with _lock:
            _attaching.discard(name)
    with _lock:
        _attached[name] = detach


def _is_installed(adapter: Adapter) -> bool:
    try:
        # By its distribution: `agents` may well be a package of the host's own.
        if adapter.distribution:
            version(adapter.distribution)
        return importlib.util.find_spec(adapter.framework) is not None
    except (PackageNotFoundError, ImportError, ValueError):
        # A parent package that is not there, or one that is half loaded.
        return False


def _described(name: str) -> Attached:
    distribution = ADAPTERS[name].distribution
    try:
        return Attached(name, version(distribution) if distribution else "")
    except PackageNotFoundError:
        return Attached(name, "unknown")
