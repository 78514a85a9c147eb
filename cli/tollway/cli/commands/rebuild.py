"""`tollway rebuild`: what a worker stopped for is shown, accepted as lost, and gone on without."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tollway.cli.commands.options import BrokersOption
from tollway.cli.failing import fail, in_words
from tollway.cli.where import broker_address
from tollway.contract.topics import COMMANDS, USAGE

if TYPE_CHECKING:
    from tollway.streams.rebuilding import Plan
    from tollway.streams.settings import WorkerSettings

__all__ = ["rebuild"]


def rebuild(
    brokers: BrokersOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the loss unasked.")] = False,
) -> None:
    """Let the books go on where a log, or the books, lost what a worker needs; it asks first."""
    from confluent_kafka import KafkaException

    from tollway.streams.kafka import Fenced
    from tollway.streams.rebuilding import Changed
    from tollway.streams.settings import WorkerSettings

    where = broker_address(brokers)
    settings = WorkerSettings(brokers=where)
    try:
        _rebuild(settings, yes=yes)
    except ConnectionError as error:
        fail(str(error))
    except KafkaException as error:
        fail(f"the brokers at {where} did not do it: {in_words(error)}")
    except Fenced as error:
        fail(f"{error}: a worker was started meanwhile; stop it, then run this again")
    except Changed as error:
        fail(f"{error}; run this again")


def _rebuild(settings: "WorkerSettings", *, yes: bool) -> None:
    from tollway.streams.continuing import CO_PARTITIONED, LOGS
    from tollway.streams.kafka import TopicIds, partition_counts
    from tollway.streams.rebuilding import rebuild as write
    from tollway.streams.rebuilding import survey

    counts = partition_counts(settings, CO_PARTITIONED)
    partitions = counts[USAGE.name]
    if set(counts.values()) != {partitions} or not partitions:
        fail("the tollway.* topics are not all there: run `tollway topics create` first")
    _refuse_beside_a_worker(settings)
    ids = TopicIds(settings, LOGS).ask()
    surveys = (survey(settings, partition, ids) for partition in range(partitions))
    plans = [plan for plan in surveys if plan is not None]
    if not plans:
        print(f"nothing is lost: the books of all {partitions} partitions go on by themselves")
        return
    for plan in plans:
        print(_text(plan))
    if not yes and not typer.confirm("Accept this as lost, and go on without it?"):
        fail("nothing was changed")
    _refuse_beside_a_worker(settings)
    for plan in plans:
        write(settings, plan, partitions, ids, time.time_ns() // 1_000_000)
        print(f"partition {plan.partition} goes on, in generation {plan.position.generation}")
    print("start the workers again")


def _refuse_beside_a_worker(settings: "WorkerSettings") -> None:
    from tollway.streams.kafka import group_members

    members = group_members(settings)
    if members:
        fail(
            f"a worker runs ({', '.join(members)} in group {settings.group}): stop all workers"
            f" first. One that died counts for {settings.session_timeout_s:g} s more"
        )


def _text(plan: "Plan") -> str:
    position = plan.position
    lines = [f"partition {plan.partition}", *(f"  {gap.said}" for gap in plan.gaps)]
    if plan.are_books_gone:
        lines.append(
            "  its books begin anew: what was spent counts as 0 for budgets, what was seen is"
            " forgotten, all commands are obeyed again"
        )
    lines.append(
        f"  it goes on at offset {position.usage_offset + 1} of {USAGE.name} and"
        f" {position.commands_offset + 1} of {COMMANDS.name}"
    )
    return "\n".join(lines)
