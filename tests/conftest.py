"""Brokers for every room's tests: one a session to share, one a module to break."""

from collections.abc import Iterator
from typing import Protocol

import pytest

from brokers import choose_brokers, kafka_home, running_broker
from tollway.cli.kafka.apache import fetch_kafka
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics

# They run in the environment of the frameworks: see the Makefile.
collect_ignore = ["frameworks"]

_CHOICE = choose_brokers()


class Tester(Protocol):
    """One of several processes that test, as pytest-xdist shows it to the one that waits."""

    config: pytest.Config


_RAN = pytest.StashKey[set[str]]()


@pytest.fixture(scope="session", params=_CHOICE.kinds)
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """Shared: topics have fixed names, so each test keeps to workspaces of its own."""
    with running_broker(request.param, tmp_path_factory.mktemp("broker")) as running:
        request.config.stash[_RAN].add(running.kind)
        yield running


@pytest.fixture(scope="module", params=_CHOICE.kinds)
def fresh_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """A module's own, without topics: to be filled, killed, started again."""
    with running_broker(request.param, tmp_path_factory.mktemp("fresh-broker")) as running:
        request.config.stash[_RAN].add(running.kind)
        yield running


@pytest.fixture(scope="session")
def topics(broker: Broker) -> Broker:
    """The shared broker with the contract's topics on it."""
    create_topics(broker.bootstrap)
    return broker


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RAN] = set()
    if config.getoption("numprocesses", None) and "apache" in _CHOICE.kinds:
        # Before there are several processes that would all fetch it.
        fetch_kafka(kafka_home())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"broker", "fresh_broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)
        # For several processes: a module's tests on one kind of broker stay together.
        kind = next((kind for kind in _CHOICE.kinds if kind in item.name), "")
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name}-{kind}"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        ran = session.config.stash[_RAN]
        output["brokers"] = sorted(ran)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Tester, error: object) -> None:
    """One of several processes has ended: what it ran on counts for the whole."""
    ran = node.config.stash[_RAN]
    ran.update(getattr(node, "workeroutput", {}).get("brokers", ()))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    ran = config.stash[_RAN]
    names = ", ".join(sorted(ran)) or "none was needed"
    terminalreporter.write_sep("-", f"brokers that ran: {names}")
    if _CHOICE.left_out is not None:
        terminalreporter.write_line(_CHOICE.left_out, yellow=True, bold=True)
