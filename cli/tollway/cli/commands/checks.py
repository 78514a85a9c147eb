"""The checks of `tollway doctor`, each a line: ok, warn or fail, and the way out."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from tollway.cli.client import Api
from tollway.cli.commands.probes import (
    broker_clock_ms,
    heartbeats,
    known_partitions,
    topic_differences,
)
from tollway.contract.topics import TOPICS, USAGE

__all__ = ["Check", "examine"]

SKEW_WARN_MS = 1_000
# Beyond it events count as skewed and are booked at the broker's time.
SKEW_FAIL_MS = 5 * 60 * 1000
PRICES_WARN_DAYS = 120
_HERE = {"127.0.0.1", "localhost", "[::1]"}


@dataclass(frozen=True, kw_only=True)
class Check:
    name: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str

    def line(self) -> str:
        return f"{self.verdict:<4}  {self.name:<9}  {self.detail}"

    def document(self) -> dict[str, str]:
        return asdict(self)


def examine(brokers: str | None, api: str | None, *, clock: bool) -> list[Check]:
    checks = [_unknown("broker")] if brokers is None else _broker(brokers, clock=clock)
    if api is None:
        checks.append(_unknown("api"))
    else:
        with Api(api) as client:
            checks.extend(_api(client))
    checks.append(_prices())
    return checks


def _unknown(name: Literal["broker", "api"]) -> Check:
    variable = "TOLLWAY_BROKERS" if name == "broker" else "TOLLWAY_API"
    way = f"none is known: set {variable}, or start `tollway up` in this directory"
    return Check(name=name, verdict="fail", detail=way)


def _broker(brokers: str, *, clock: bool) -> list[Check]:
    partitions = known_partitions(brokers)
    if partitions is None:
        failed = f"{brokers} does not answer; is it running, and is TOLLWAY_BROKERS right?"
        return [Check(name="broker", verdict="fail", detail=failed)]
    checks = [Check(name="broker", verdict="ok", detail=brokers)]
    checks.append(_topics(brokers, partitions))
    checks.append(_worker(brokers, partitions.get(USAGE.name, 0)))
    if clock:
        checks.append(_clock(brokers))
    return checks


def _topics(brokers: str, partitions: dict[str, int]) -> Check:
    missing = [topic.name for topic in TOPICS if topic.name not in partitions]
    if missing:
        return Check(
            name="topics",
            verdict="fail",
            detail=f"{', '.join(missing)} do not exist: `tollway topics create` makes them",
        )
    counts = {partitions[topic.name] for topic in TOPICS if topic.co_partitioned}
    if len(counts) > 1:
        each = ", ".join(f"{topic.name} {partitions[topic.name]}" for topic in TOPICS)
        return Check(
            name="topics",
            verdict="fail",
            detail=f"their partitions differ ({each}): a workspace would have two writers; delete"
            " the tollway.* topics and create them anew",
        )
    differences = topic_differences(brokers, counts.pop())
    if differences:
        return Check(
            name="topics",
            verdict="warn",
            detail=f"{'; '.join(differences)}; kafka-configs.sh --alter sets them",
        )
    return Check(name="topics", verdict="ok", detail=f"{len(TOPICS)} as the contract says")


def _worker(brokers: str, partitions: int) -> Check:
    heard = heartbeats(brokers)
    if not heard:
        return Check(
            name="worker",
            verdict="fail",
            detail="no heartbeat: nothing is priced or blocked; start `tollway worker`, or look"
            " into .tollway/logs/worker-0.log",
        )
    silent = sorted(set(range(partitions)) - heard)
    if silent:
        return Check(
            name="worker",
            verdict="warn",
            detail=f"no heartbeat from partitions {', '.join(map(str, silent))}: they may be"
            " changing owners; run this again in ten seconds",
        )
    return Check(name="worker", verdict="ok", detail=f"heartbeats from all {partitions} partitions")


def _clock(brokers: str) -> Check:
    hosts = {address.strip().rpartition(":")[0] for address in brokers.split(",")}
    if hosts <= _HERE:
        return Check(name="clock", verdict="ok", detail="the broker runs on this machine")
    ahead_ms = broker_clock_ms(brokers)
    if ahead_ms is None:
        return Check(
            name="clock",
            verdict="warn",
            detail="the broker's clock cannot be read (no right to make a topic?); --no-clock"
            " leaves this out",
        )
    return _skew("clock", "the broker", ahead_ms)


def _skew(name: str, who: str, ahead_ms: int) -> Check:
    detail = f"{who} is {abs(ahead_ms)} ms {'ahead of' if ahead_ms >= 0 else 'behind'} this machine"
    if abs(ahead_ms) < SKEW_WARN_MS:
        return Check(name=name, verdict="ok", detail=detail)
    return Check(
        name=name,
        verdict="fail" if abs(ahead_ms) >= SKEW_FAIL_MS else "warn",
        detail=f"{detail}: run a time service (chrony, systemd-timesyncd) on both",
    )


def _api(client: Api) -> list[Check]:
    status, ready = client.status("/readyz")
    if status == 0:
        failed = f"{client.address} does not answer; is it running, and is TOLLWAY_API right?"
        return [Check(name="api", verdict="fail", detail=failed)]
    if status != 200:
        checks = ready.get("checks", {}).values()
        wrong = list(dict.fromkeys(each for each in checks if each != "ok"))
        return [
            Check(name="api", verdict="fail", detail="; ".join(wrong) or f"answers {status}"),
            _tables(client),
        ]
    return [Check(name="api", verdict="ok", detail=client.address), _tables(client)]


def _tables(client: Api) -> Check:
    status, document = client.status("/v1/status")
    if status != 200:
        return Check(
            name="tables",
            verdict="fail",
            detail=f"{document.get('detail', status)}; `tollway migrate` makes the tables",
        )
    applied = {each["version"]: each["checksum"] for each in document["migrations"]}
    wanted = _wanted_migrations()
    if wanted is None:
        return Check(
            name="tables",
            verdict="warn",
            detail=f"{len(applied)} migrations; pip install 'tollway[sinks]' to compare them",
        )
    missing = [version for version in wanted if version not in applied]
    changed = [version for version in wanted if applied.get(version, "") != wanted[version]]
    if missing:
        numbers = ", ".join(f"{version:04d}" for version in missing)
        way = f"migrations {numbers} are missing: run `tollway migrate`"
        return Check(name="tables", verdict="fail", detail=way)
    if changed or len(applied) > len(wanted):
        way = "the store was migrated by another version of Tollway: install that one here too"
        return Check(name="tables", verdict="warn", detail=way)
    return Check(name="tables", verdict="ok", detail=f"{len(applied)} migrations")


def _wanted_migrations() -> dict[int, str] | None:
    try:
        from tollway.sinks.migrate import migrations
    except ImportError:
        return None
    return {migration.version: migration.checksum for migration in migrations()}


def _prices() -> Check:
    from importlib.metadata import version

    newest = _newest_price()
    age_days = (datetime.now(UTC) - newest).days
    detail = f"genai-prices {version('genai-prices')}, newest change {newest:%Y-%m-%d}"
    if age_days <= PRICES_WARN_DAYS:
        return Check(name="prices", verdict="ok", detail=detail)
    way = f"{detail}, {age_days} days ago: pip install -U genai-prices"
    return Check(name="prices", verdict="warn", detail=way)


def _newest_price() -> datetime:
    """The newest dated price that counts by now: the list itself is not dated."""
    from genai_prices.data_snapshot import get_snapshot

    now = datetime.now(UTC)
    dates = [datetime(1970, 1, 1, tzinfo=UTC)]
    for provider in get_snapshot().providers:
        for model in provider.models:
            if isinstance(model.prices, list):
                starts = (getattr(each.constraint, "start_date", None) for each in model.prices)
                dates.extend(
                    datetime(start.year, start.month, start.day, tzinfo=UTC)
                    for start in starts
                    if start is not None
                )
    return max(date for date in dates if date <= now)
