"""What the sinks count, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["SinkMetrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 10, 100, 1_000, 5_000, 10_000, 50_000, 100_000)


class SinkMetrics:
    """One process's, on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.rows = Counter(
            "tollway_sink_rows_total",
            "Rows acknowledged by the store",
            ["table"],
            registry=registry,
        )
        self.insert_seconds = Histogram(
            "tollway_sink_insert_seconds",
            "Time of one insert, until it was acknowledged",
            ["table"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "tollway_sink_batch_rows",
            "Rows of one insert",
            ["table"],
            buckets=_ROWS,
            registry=registry,
        )
        self.retries = Counter(
            "tollway_sink_retries_total",
            "Attempts that were repeated, by what was away",
            ["away"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "tollway_sink_dead_letters_total",
            "Records and rows that became dead letters",
            ["reason"],
            registry=registry,
        )
        self.failed_commits = Counter(
            "tollway_sink_failed_commits_total",
            "Commits of offsets that failed; their rows may arrive again",
            registry=registry,
        )
        self.lost_records = Counter(
            "tollway_sink_lost_records_total",
            "Records that the log dropped before the sinks had read them",
            ["topic"],
            registry=registry,
        )
        self.backlog_bytes = Gauge(
            "tollway_sink_backlog_bytes",
            "Read, not yet acknowledged by the store",
            registry=registry,
        )
        self.lag_records = Gauge(
            "tollway_sink_lag_records",
            "Records of a topic that are not read yet",
            ["topic"],
            registry=registry,
        )
        self.store_up = Gauge(
            "tollway_sink_store_up", "1 where the store took the last insert", registry=registry
        )
