"""Where the running Tollway is: options over the environment over tollway.toml over run.json."""

import os
from pathlib import Path

from tollway.cli.failing import fail

__all__ = ["api_address", "broker_address", "clickhouse_address", "workspace_name"]

_RUN_FILE = Path(".tollway/run.json")


def api_address(option: str | None = None) -> str:
    found = option or _configured("api") or _running("api")
    if found is None:
        fail(
            "no api is known: start one with `tollway up` in this directory, or set TOLLWAY_API,"
            " such as http://127.0.0.1:8788"
        )
    return found if "://" in found else f"http://{found}"


def broker_address(option: str | None = None) -> str:
    found = option or _configured("brokers") or _running("broker")
    if found is None:
        fail(
            "no broker is known: start one with `tollway up` in this directory, or set"
            " TOLLWAY_BROKERS, such as 127.0.0.1:9092"
        )
    return found


def clickhouse_address(option: str | None = None) -> str:
    found = option or _configured("clickhouse")
    if found is None:
        fail(
            "no ClickHouse is known: set TOLLWAY_CLICKHOUSE, such as http://127.0.0.1:8123 or"
            " chdb:///var/lib/tollway"
        )
    return found


def workspace_name(option: str | None = None) -> str | None:
    """None: whatever the api's own default is."""
    return option or _configured("workspace")


def _configured(name: str) -> str | None:
    from_environment = os.environ.get(f"TOLLWAY_{name.upper()}")
    if from_environment:
        return from_environment
    path = Path(os.environ.get("TOLLWAY_CONFIG") or "tollway.toml")
    if not path.is_file():
        return None
    # Here, because most directories have no file.
    import tomllib

    try:
        value = tomllib.loads(path.read_text(encoding="utf-8")).get(name)
    except tomllib.TOMLDecodeError as error:
        fail(f"{path} is not TOML: {error}")
    return None if value is None else str(value)


def _running(name: str) -> str | None:
    import json

    try:
        value = json.loads(_RUN_FILE.read_text()).get(name)
    except FileNotFoundError:
        return None
    except ValueError as error:
        fail(f"{_RUN_FILE} is not JSON ({error}); stop and start `tollway up`")
    return None if value is None else str(value)
