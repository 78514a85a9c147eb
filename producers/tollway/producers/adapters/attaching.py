"""`instrument()` and `uninstrument()`: which adapters there are, and which are attached."""

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple, Protocol, cast

from tollway.producers import process
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
    """An adapter that is attached now, and the framework's version; "" for the standard library."""

    name: str
    version: str


_lock = threading.Lock()
_attached: dict[str, tuple[Attached, Detach]] = {}


def instrument(*names: str) -> list[Attached]:
    """Attaches metering to the named frameworks, or to all that are installed; says to which.

    What is attached already stays so. A named one that is not installed raises `ImportError`; one
    of all that cannot be attached is logged and left out: the host goes on without it.
    """
    unknown = [name for name in names if name not in ADAPTERS]
    if unknown:
        raise ValueError(f"no adapter {', '.join(unknown)}; there are {', '.join(ADAPTERS)}")
    with _lock:
        for name in names or ADAPTERS:
            if name in _attached or not (names or _is_installed(ADAPTERS[name])):
                continue
            try:
                _attached[name] = (_described(name), _attach(ADAPTERS[name]))
            except Exception as error:
                if names:
                    raise
                _log.warning("tollway cannot attach to %s: %s", name, type(error).__name__)
        attached = [each for each, _ in _attached.values()]
    # So that `meter.report()` knows from the first call on what a process without brokers spends.
    process.keep_books(_process_books)
    return attached


def _process_books() -> RunBooks:
    # Here, because prices are 10 MB and a third of a second: a fleet's process does without.
    from tollway.producers.local.opening import process_books

    return process_books()


def uninstrument(*names: str) -> None:
    """Takes the named adapters off again, or all."""
    with _lock:
        for name in names or list(_attached):
            held = _attached.pop(name, None)
            if held is not None:
                held[1]()


def _attach(adapter: Adapter) -> Detach:
    module = cast(_Module, importlib.import_module(adapter.module))
    return module.attach()


def _is_installed(adapter: Adapter) -> bool:
    try:
        return importlib.util.find_spec(adapter.framework) is not None
    except (ImportError, ValueError):
        # A parent package that is not there, or one that is half loaded.
        return False


def _described(name: str) -> Attached:
    distribution = ADAPTERS[name].distribution
    try:
        return Attached(name, version(distribution) if distribution else "")
    except PackageNotFoundError:
        return Attached(name, "unknown")
