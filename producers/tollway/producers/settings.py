"""The SDK's settings: arguments over the environment over tollway.toml over defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from tollway.producers.errors import BadSettings

__all__ = ["OnStale", "Settings", "plaintext_hosts", "read_settings"]

OnStale = Literal["open", "closed"]

_PREFIX = "TOLLWAY_"
_KAFKA_PREFIX = "TOLLWAY_KAFKA_"
_ENCRYPTED = frozenset({"SSL", "SASL_SSL"})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one process needs to know. `kafka` holds librdkafka's own settings, such as SASL's."""

    brokers: str | None = None
    workspace: str | None = None
    # The workspace's secret. Shown nowhere.
    key: str | None = None
    agent: str | None = None
    # What `check` does while nobody can say whether a call is allowed.
    on_stale: OnStale = "open"
    # How long the first `check` waits until the guard has read the standing decisions.
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0
    allow_plaintext: bool = False
    # Whether SIGTERM flushes before it does what it did before.
    sigterm: bool = True
    kafka: dict[str, str] = {}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"Settings({shown})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Every value but the secret ones; of `kafka`, only which settings there are."""
        shown: list[tuple[str, object]] = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "key" and value is not None:
                value = "***"
            if name == "kafka":
                value = dict.fromkeys(sorted(value), "***")
            shown.append((name, value))
        return shown


def read_settings(
    arguments: Mapping[str, object], environment: Mapping[str, str], directory: Path
) -> Settings:
    """Settings for a process that runs in `directory`. Raises `BadSettings`."""
    from_file = _from_file(environment, directory)
    from_environment = _from_environment(environment)
    given = {name: value for name, value in arguments.items() if value is not None}
    merged: dict[str, object] = {**from_file, **from_environment, **given}
    merged["kafka"] = {
        name: _property(value)
        for source in (from_file, from_environment, given)
        for name, value in _kafka(source).items()
    }
    try:
        settings = msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(f"a setting of tollway is wrong: {error}") from None
    _refuse_plaintext(settings)
    return settings


def plaintext_hosts(settings: Settings) -> list[str]:
    """Hosts elsewhere to which events would travel unencrypted."""
    if settings.kafka.get("security.protocol", "PLAINTEXT").upper() in _ENCRYPTED:
        return []
    hosts = [_host(broker) for broker in (settings.brokers or "").split(",") if broker.strip()]
    return [host for host in hosts if not _is_local(host)]


def _refuse_plaintext(settings: Settings) -> None:
    hosts = plaintext_hosts(settings)
    if hosts and not settings.allow_plaintext:
        raise BadSettings(
            f"events to {', '.join(hosts)} would travel unencrypted; set"
            ' kafka={"security.protocol": "SSL"} (or SASL_SSL), or, on a network you trust,'
            " allow_plaintext=True or TOLLWAY_ALLOW_PLAINTEXT=1"
        )


def _host(broker: str) -> str:
    address = broker.strip().rpartition("://")[2]
    host, colon, port = address.rpartition(":")
    return (host if colon and port.isdecimal() else address).strip("[]").lower()


def _is_local(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in Settings.__struct_fields__:
        text = environment.get(_PREFIX + name.upper())
        if text and name != "kafka":
            found[name] = text
    # TOLLWAY_KAFKA_SASL_PASSWORD is librdkafka's sasl.password.
    found["kafka"] = {
        name.removeprefix(_KAFKA_PREFIX).lower().replace("_", "."): text
        for name, text in environment.items()
        if name.startswith(_KAFKA_PREFIX)
    }
    return found


def _from_file(environment: Mapping[str, str], directory: Path) -> dict[str, object]:
    named = environment.get("TOLLWAY_CONFIG")
    path = directory / (named or "tollway.toml")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            raise BadSettings(f"TOLLWAY_CONFIG names {path}, which does not exist") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} cannot be read: {type(error).__name__}") from None
    # Here, because most processes have no file and should not pay for the parser.
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path} is not TOML: {error}") from None
    # The file is shared with the worker and the command line: what is theirs is not looked at.
    return {name: document[name] for name in Settings.__struct_fields__ if name in document}


def _kafka(source: Mapping[str, object]) -> dict[str, object]:
    properties = source.get("kafka", {})
    if not isinstance(properties, Mapping):
        raise BadSettings('kafka must be a table of librdkafka settings: {"linger.ms": "5"}')
    return {str(name): value for name, value in properties.items()}


def _property(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
