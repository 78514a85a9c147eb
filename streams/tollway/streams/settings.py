"""What one worker process is told when it starts."""

from dataclasses import dataclass, field

__all__ = ["WorkerSettings"]


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """`brokers` is ``host:port[,host:port]``; `kafka` holds further librdkafka settings."""

    brokers: str
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    group: str = "tollway-worker"
    # Prefix of transactional ids: `<prefix>-<partition>`. Two deployments on one cluster differ.
    transactional_prefix: str = "tollway"
    # 6 s where a broker takes half of it for a group's join, as the embedded one does.
    session_timeout_s: float = 10.0
    close_every_s: float = 1.0
    reemit_every_s: float = 30.0
    # No commit for so long while records wait: the process ends itself, its supervisor restarts it.
    stuck_after_s: float = 60.0
    # Unreadable records in a row after which the worker stops instead of draining the topic.
    poison_limit: int = 1000
    data_dir: str = ".tollway/worker"
    kafka: dict[str, str] = field(default_factory=dict, repr=False)
