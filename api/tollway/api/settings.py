"""What the API needs to know when it starts."""

from dataclasses import dataclass

__all__ = ["ApiSettings"]


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """`host` stays on loopback unless somebody asks for more: there are no keys yet."""

    brokers: str
    # Named here, it is what doors speak of that are asked for none; without, reads are about all
    # workspaces and writes about `default`.
    workspace: str | None = None
    host: str = "127.0.0.1"
    port: int = 8788
    # The consumer group of the sinks, whose lag the audit reports.
    sinks_group: str = "tollway-sinks"
    # Above this many records behind, the API is alive but not ready.
    ready_lag_max: int = 100_000
