"""The commands that are processes: `up`, `worker`, `sink`, `api`."""

from pathlib import Path
from typing import Annotated

import typer

from tollway.cli.commands.options import BrokersOption
from tollway.cli.where import broker_address, clickhouse_address, workspace_name
from tollway.contract.topics import DEFAULT_PARTITIONS

__all__ = ["api", "sink", "up", "worker"]

ClickHouseOption = Annotated[
    str | None,
    typer.Option("--clickhouse", help="http://host:8123 or chdb:///path.", show_default=False),
]
HealthPortOption = Annotated[
    int, typer.Option(min=0, max=65_535, help="Port of /healthz, /readyz, /metrics.")
]
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def up(
    directory: Annotated[Path, typer.Option("--dir", help="Where all its data is.")] = Path(
        ".tollway"
    ),
    port: Annotated[int, typer.Option(help="The api's; 0 takes a free one.")] = 0,
    brokers: Annotated[
        str | None, typer.Option(help="A Kafka that is there, instead of the embedded broker.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64)] = 1,
    partitions: Annotated[int, typer.Option(min=1, max=1024)] = DEFAULT_PARTITIONS,
) -> None:
    """Start everything on this machine and keep it up until Ctrl-C."""
    from tollway.cli.up import run_up

    code = run_up(directory, port=port, brokers=brokers, workers=workers, partitions=partitions)
    raise typer.Exit(code)


def worker(
    brokers: BrokersOption = None,
    health_port: HealthPortOption = 6066,
    host: Annotated[str, typer.Option(help="Address of that port.")] = "127.0.0.1",
    embedded: Annotated[bool, typer.Option(help="The broker is `tollway up`'s own.")] = False,
    data_dir: Annotated[Path, typer.Option(help="For files that can be lost.")] = Path(
        ".tollway/worker"
    ),
) -> None:
    """Price, attribute and judge what the agents send."""
    import dataclasses

    from tollway.streams.app import run_worker
    from tollway.streams.settings import WorkerSettings

    settings = WorkerSettings(
        brokers=broker_address(brokers),
        web_host=host,
        web_port=health_port,
        data_dir=str(data_dir),
    )
    if embedded:
        # A group's join on the embedded broker takes half a session.
        settings = dataclasses.replace(settings, session_timeout_s=6.0)
    run_worker(settings)


def sink(
    brokers: BrokersOption = None,
    clickhouse: ClickHouseOption = None,
    health_port: HealthPortOption = 6067,
    host: Annotated[str, typer.Option(help="Address of that port.")] = "127.0.0.1",
    migrate: Annotated[bool, typer.Option(help="Bring the tables up to date first.")] = False,
) -> None:
    """Write what stands in the topics to ClickHouse."""
    import logging

    from tollway.cli.commands.sinking import run_sink

    logging.basicConfig(format=LOG_FORMAT, level="INFO")
    run_sink(
        broker_address(brokers),
        clickhouse_address(clickhouse),
        host=host,
        health_port=health_port,
        migrate_first=migrate,
    )


def api(
    brokers: BrokersOption = None,
    clickhouse: ClickHouseOption = None,
    host: Annotated[str, typer.Option(help="There are no keys yet: stay on loopback.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8788,
) -> None:
    """Answer over HTTP: spend, decisions, budgets, the audit."""
    import logging

    from tollway.api.clickhouse import connect_reader
    from tollway.api.run import run_api
    from tollway.api.settings import ApiSettings

    logging.basicConfig(format=LOG_FORMAT, level="INFO")
    settings = ApiSettings(
        brokers=broker_address(brokers),
        workspace=workspace_name(),
        host=host,
        port=port,
    )
    client = connect_reader(clickhouse_address(clickhouse))
    typer.echo(f"api on http://{host}:{port} (no keys: whoever reaches it may read and set)")
    run_api(settings, client)
