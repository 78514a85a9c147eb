"""The harness of all adapters: a replayed provider, metering in memory, a canary, and the table.

A module of tests says which adapter it is about, and what its framework cannot do:

    pytestmark = pytest.mark.framework("openai", lacks={"agent name": "the SDK knows no agents"})

Its adapter is then attached before each test and taken off after it (`also=("openai",)` attaches
more; `attach=False` none, for a test that does it itself). A test says what it shows:

    @pytest.mark.shows("meter", "async")
    def test_...(server: ReplayServer, running: Meter) -> None:

Fixtures: `server` (`answering.ReplayServer`: `on(path, answers...)`, `requests`, `release()`),
`running` (`tollway.producers.testing.Meter`: `events()`, `block(...)`; sessions work in it).
Importable: `recordings` (`recording("chat_completions__tools__gpt-4o__73a2c").answer()`),
`metered_once` (`assert_usage`), `canary` (`PROMPT`, to be in every request). Around each test,
whatever it does: no canary in an event, a log record or an error of ours, and no fault of ours that
was swallowed (`@pytest.mark.our_fault` expects one). With ``--write-frameworks-table`` what was
shown is written into docs/frameworks.md; without, a whole run checks that the page says it.
"""

import logging
import traceback
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from answering import ReplayServer
from canary import assert_silent, assert_sung
from frameworks_table import CAPABILITIES, PAGE, Shown, page_with, unexplained
from recordings import NO_RECORDINGS
from tollway.producers import process
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.errors import CallBlocked, SpendWarning
from tollway.producers.testing import Meter, metered

SHOWN = pytest.StashKey[Shown]()
# Whether this run has every test of the directory, and what was recorded.
WHOLE = pytest.StashKey[bool]()
# Whether a test was skipped while it ran: then nothing happened in it.
SKIPPED = pytest.StashKey[bool]()
_WRITE = "--write-frameworks-table"
# The test of the page comes last: the others make the table.
_LAST = "test_frameworks_page.py"
_MARKERS = (
    "framework(name, lacks={}, also=(), attach=True): the adapter that a module is about",
    "shows(*capabilities): what a passing test shows of its framework, for the table",
    "our_fault: the test has a fault of ours in it, which the host must not notice",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(_WRITE, action="store_true", help="write docs/frameworks.md from this run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SHOWN] = Shown()
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    # The frameworks' own warnings are theirs; the tests say where one of ours is expected.
    config.addinivalue_line("filterwarnings", "default")
    # Tests leave clients open: closing them is the frameworks' affair.
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")
    # And where pytest looks for the last time, without the lines above.
    warnings.simplefilter("ignore", ResourceWarning)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == _LAST)
    modules = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    chosen = config.getoption("keyword") or config.getoption("markexpr")
    config.stash[WHOLE] = not chosen and {item.path.name for item in items} >= modules


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[SKIPPED] = item.stash.get(SKIPPED, False) or report.skipped
    about = item.get_closest_marker("framework")
    if about is not None:
        shown = item.config.stash[SHOWN]
        shown.lack(about.args[0], about.kwargs.get("lacks", {}))
        if report.skipped and NO_RECORDINGS in str(report.longrepr):
            item.config.stash[WHOLE] = False
        if call.when == "call" and report.passed:
            capabilities = _shown_by(item)
            assert set(capabilities) <= set(CAPABILITIES), f"{item.nodeid} shows {capabilities}"
            shown.show(about.args[0], capabilities)
    return report


def _shown_by(item: pytest.Item) -> tuple[str, ...]:
    return tuple(each for mark in item.iter_markers("shows") for each in mark.args)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    for missing in unexplained(config.stash[SHOWN]):
        terminalreporter.write_line(f"neither shown nor explained: {missing}", yellow=True)
    if config.getoption(_WRITE) and config.stash[WHOLE] and exitstatus == pytest.ExitCode.OK:
        PAGE.write_text(page_with(config.stash[SHOWN], PAGE.read_text()))
        terminalreporter.write_line(f"written: {PAGE}")
    elif config.getoption(_WRITE):
        terminalreporter.write_line(
            "not written: only a whole run, recordings and all, that passed", red=True
        )


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> Shown:
    """What the tests of this run have shown so far; skips where they are not all of them."""
    if not request.config.stash[WHOLE]:
        pytest.skip("only a whole run knows what the page must say")
    return request.config.stash[SHOWN]


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of all errors and warnings of ours that are made while a test runs."""
    texts: list[str] = []
    for kind in (CallBlocked, SpendWarning):
        _listen(monkeypatch, kind, texts)
    return texts


def _listen(monkeypatch: pytest.MonkeyPatch, kind: type[Exception], texts: list[str]) -> None:
    made = kind.__init__

    def listened(error: Exception, *args: object, **kwargs: object) -> None:
        made(error, *args, **kwargs)
        texts.append(f"{error} {error!r} {vars(error)}")

    monkeypatch.setattr(kind, "__init__", listened)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The faults of ours that the host did not notice, with where they were."""
    seen: list[str] = []
    note = process.note_fault

    def noted(error: Exception) -> None:
        seen.append("".join(traceback.format_exception(error)))
        note(error)

    monkeypatch.setattr(process, "note_fault", noted)
    return seen


@pytest.fixture(autouse=True)
def running(
    request: pytest.FixtureRequest,
    server: ReplayServer,
    caplog: pytest.LogCaptureFixture,
    errors: list[str],
    faults: list[str],
) -> Iterator[Meter]:
    """Metering in memory with the module's adapter attached, and what must hold after each test."""
    caplog.set_level(logging.DEBUG, logger="tollway")
    about = request.node.get_closest_marker("framework")
    with metered() as memory:
        if about is not None and about.kwargs.get("attach", True):
            instrument(about.args[0], *about.kwargs.get("also", ()))
        try:
            yield memory
        finally:
            uninstrument()
        memory.settle()
        assert_silent(memory.outbox.records, caplog.get_records("call"), errors)
        assert_sung(server.requests)
        counted = memory.metering.faults.totals()
        if request.node.get_closest_marker("our_fault") is None:
            assert faults == [], "\n".join(faults)
            assert counted == {}
        elif not request.node.stash.get(SKIPPED, False):
            assert counted, "no fault of ours happened"
