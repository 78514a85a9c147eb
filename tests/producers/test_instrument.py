"""`instrument()` attaches once, says to what, and is undone without a trace."""

import gc
import importlib
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from tollway import meter
from tollway.producers.adapters.attaching import ADAPTERS, Adapter
from tollway.producers.adapters.patching import Patches
from tollway.producers.ambient import run_books
from tollway.producers.testing import Meter, metered


@pytest.fixture(autouse=True)
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running
        meter.uninstrument()


def test_an_unknown_name_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"opneai; there are openai, anthropic"):
        meter.instrument("opneai")


def test_what_is_named_and_not_installed_is_an_import_error() -> None:
    absent = next(name for name in ADAPTERS if not _installed(name))
    with pytest.raises(ImportError):
        meter.instrument(absent)


def _installed(name: str) -> bool:
    import importlib.util

    try:
        return importlib.util.find_spec(ADAPTERS[name].framework) is not None
    except ImportError:
        return False


def test_twice_is_once_and_taken_off_everything_is_as_before() -> None:
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    meter.instrument("threading")
    attached = meter.instrument("threading")

    assert [each.name for each in attached] == ["threading"]
    assert threading.Thread.start is not start
    meter.uninstrument("threading")
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (start, submit)


def test_threads_and_pools_go_on_in_the_session_that_started_them() -> None:
    meter.instrument("threading")

    def spend() -> None:
        meter.record(kind="tool", tool="t", cost="0.01")

    with meter.session("1") as s:
        thread = threading.Thread(target=spend)
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(spend) for _ in range(10)]:
                future.result()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(spend).result()

    assert s.spent == Decimal("0.11")


def test_a_threads_own_run_and_arguments_are_what_runs() -> None:
    meter.instrument("threading")
    ran: list[object] = []

    class Own(threading.Thread):
        def run(self) -> None:
            ran.append("own")

    with meter.session("1"):
        for thread in (Own(), threading.Thread(target=ran.append, args=("target",))):
            thread.start()
            thread.join()

    assert ran == ["own", "target"]


def test_a_pools_threads_are_in_the_session_of_each_task_and_in_none_between() -> None:
    meter.instrument("threading")

    def where() -> object:
        books = run_books()
        return None if books is None else books.session

    with ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:
        ways: list[Callable[[], object]] = [
            lambda: executor.submit(where).result(),
            lambda: pool.apply(where),
            lambda: pool.apply_async(func=where).get(),
            lambda: pool.starmap(where, [()])[0],
            lambda: next(pool.imap(lambda _: where(), [0])),
        ]
        with meter.session(session="first"):
            assert [ask() for ask in ways] == ["first"] * 5
        assert [ask() for ask in ways] == [None] * 5
        with meter.session(session="second"):
            assert [ask() for ask in ways] == ["second"] * 5


def test_a_thread_and_its_session_are_freed_once_nobody_has_them() -> None:
    meter.instrument("threading")
    with ThreadPoolExecutor(1) as pool:
        with meter.session() as session:
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            pool.submit(int).result()
        thread_left, session_left = weakref.ref(thread), weakref.ref(session)
        del thread, session
        pool.submit(int).result()

        assert thread_left() is None
        # It is in a circle with its books; the pool must not be what holds both.
        gc.collect()
        assert session_left() is None


def test_a_patched_function_is_named_and_signed_as_before() -> None:
    before = [
        (each.__qualname__, each.__doc__, inspect.signature(each))
        for each in (threading.Thread.start, ThreadPoolExecutor.submit)
    ]
    meter.instrument("threading")

    assert [
        (each.__qualname__, each.__doc__, inspect.signature(each))
        for each in (threading.Thread.start, ThreadPoolExecutor.submit)
    ] == before


def test_a_patch_that_somebody_else_has_covered_stays_under_it() -> None:
    class Owner:
        def call(self) -> str:
            return "original"

    patches = Patches()
    patches.wrap(Owner, "call", lambda original: lambda self: f"ours of {original(self)}")
    ours = Owner.call
    Owner.call = lambda self: f"theirs of {ours(self)}"  # type: ignore[method-assign]  # as others do
    patches.undo()

    assert Owner().call() == "theirs of ours of original"


def test_a_framework_of_another_version_is_told_by_the_name_it_lacks() -> None:
    class Owner: ...

    with pytest.raises(AttributeError, match="call"):
        Patches().wrap(Owner, "call", lambda original: original)


PACKAGE = """
import sys
class Client:
    def call(self):
        return "answered"
"""


@pytest.fixture
def framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A framework that is installed and that nobody has imported, and its adapter."""
    (tmp_path / "some_framework").mkdir()
    (tmp_path / "some_framework" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "some_adapter.py").write_text(
        "from tollway.producers.adapters.patching import Patches\n"
        "def attach():\n"
        "    import some_framework\n"
        "    patches = Patches()\n"
        "    patches.wrap(some_framework.Client, 'call',"
        " lambda original: lambda self: 'metered, ' + original(self))\n"
        "    return patches.undo\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ADAPTERS, "some", Adapter("some_adapter", "some_framework", ""))
    yield "some"
    meter.uninstrument()
    for name in ("some_framework", "some_adapter"):
        sys.modules.pop(name, None)


def test_what_the_host_does_not_import_is_not_imported(framework: str) -> None:
    attached = meter.instrument()

    assert framework in [each.name for each in attached]
    assert "some_framework" not in sys.modules


def test_what_the_host_imports_later_is_metered_from_then_on(framework: str) -> None:
    meter.instrument()
    some_framework = importlib.import_module("some_framework")

    assert some_framework.Client().call() == "metered, answered"
    assert some_framework.__spec__ is not None
    assert type(some_framework.__spec__.loader).__name__ == "SourceFileLoader"
    meter.uninstrument()
    assert some_framework.Client().call() == "answered"


def test_what_is_taken_off_before_it_is_imported_stays_as_it_is(framework: str) -> None:
    before = list(sys.meta_path)
    meter.instrument()
    meter.uninstrument()

    assert sys.meta_path == before
    assert importlib.import_module("some_framework").Client().call() == "answered"


def test_a_framework_that_cannot_be_attached_is_said_and_imported_all_the_same(
    framework: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "some_adapter.py").write_text("def attach():\n    raise KeyError('secret')\n")
    meter.instrument()

    assert importlib.import_module("some_framework").Client().call() == "answered"
    assert "cannot attach to some: KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_a_package_of_the_hosts_own_with_a_frameworks_name_is_left_alone(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Adapter("some_adapter", "some_framework", "a-distribution-that-is-not-installed")
    monkeypatch.setitem(ADAPTERS, framework, other)
    meter.instrument()

    assert importlib.import_module("some_framework").Client().call() == "answered"
