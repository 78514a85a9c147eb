"""What adapters are made of: refusals that pass, overrides that are wrapped, agents that run."""

import asyncio
import gc
import pickle
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import ClassVar

import pytest

from tollway.producers.adapters.frames import Within, agent_runs, stepped
from tollway.producers.adapters.overriding import wrap_overrides
from tollway.producers.adapters.passing import Refusals, passing, refusal_in
from tollway.producers.adapters.patching import Patches
from tollway.producers.calls import Asked, Call, Usage, begin
from tollway.producers.errors import CallBlocked
from tollway.producers.testing import Meter, metered


class Signal(Exception):
    """A framework's own, made of other arguments than ours."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


@pytest.fixture
def running() -> Iterator[Meter]:
    with metered() as memory:
        yield memory


def refusal() -> CallBlocked:
    return CallBlocked("the budget is spent", "budget_exceeded")


def test_a_refusal_that_passes_is_the_hosts_and_the_frameworks() -> None:
    made = passing(refusal(), Signal)
    assert isinstance(made, Signal)
    assert (str(made), made.reason, made.decision) == (
        "the budget is spent",
        "budget_exceeded",
        None,
    )


def test_a_refusal_that_passes_gets_to_another_process_as_what_the_host_knows() -> None:
    got = pickle.loads(pickle.dumps(passing(refusal(), Signal)))
    assert type(got) is CallBlocked
    assert got.message == "the budget is spent"


def test_a_refusal_is_found_in_what_it_was_wrapped_into() -> None:
    wrapped = RuntimeError("a framework's words")
    wrapped.__cause__ = ValueError("more words")
    assert refusal_in(wrapped) is None
    wrapped.__cause__.__context__ = told = refusal()
    assert refusal_in(wrapped) is told


def test_causes_in_a_circle_hold_nobody() -> None:
    error = RuntimeError("it is its own")
    error.__context__ = other = ValueError("cause")
    other.__context__ = error
    assert refusal_in(error) is None


@pytest.mark.parametrize("signal", [None, Signal])
def test_what_is_wrapped_comes_out_as_a_refusal_and_other_errors_as_they_are(
    signal: type[Exception] | None,
) -> None:
    with pytest.raises(CallBlocked) as raised, Refusals(signal):
        raise RuntimeError("a framework's words") from refusal()
    assert isinstance(raised.value, signal or CallBlocked)
    with pytest.raises(RuntimeError, match="of its own"), Refusals(signal):
        raise RuntimeError("of its own")


class Model(ABC):
    @abstractmethod
    def call(self) -> str: ...


class Here(Model):
    def call(self) -> str:
        return "here"


def loud(call: Callable[..., str]) -> Callable[..., str]:
    return lambda *args: call(*args).upper()


def test_overrides_are_wrapped_that_there_are_and_that_come_and_then_let_go() -> None:
    patches = Patches()
    wrap_overrides(patches, Model, {"call": loud})

    class Later(Model):
        def call(self) -> str:
            return "later"

    class Below(Later):
        """It has what its parent has."""

    assert [kind().call() for kind in (Here, Later, Below)] == ["HERE", "LATER", "LATER"]
    patches.undo()
    assert [kind().call() for kind in (Here, Later, Below)] == ["here", "later", "later"]
    assert "__init_subclass__" not in vars(Model)
    assert "call" not in vars(Below)


class Registering:
    made: ClassVar[list[str]] = []

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.made.append(cls.__name__)


def test_a_framework_that_minds_its_subclasses_goes_on_minding_them() -> None:
    class Root(Registering):
        """Its own subclasses are told to its parent."""

    patches = Patches()
    wrap_overrides(patches, Root, {"call": loud})
    type("Made", (Root,), {})
    patches.undo()
    type("MadeAfter", (Root,), {})
    assert Registering.made == ["Root", "Made", "MadeAfter"]


def ask() -> Call:
    return begin(lambda: Asked(framework="test", provider="openai", model="gpt-4o"))


def test_calls_of_an_agent_have_its_name_and_the_agent_itself_is_no_call(running: Meter) -> None:
    with agent_runs("test", lambda: {"agent": "writer", "session": "talk-1"}):
        ask().used(Usage(input_tokens=3))
    (event,) = running.events()
    assert (event.agent, event.session, event.input_tokens) == ("writer", "talk-1", 3)


def test_a_tool_that_runs_an_agent_is_a_call_beside_the_agents_tools(running: Meter) -> None:
    def use(tool: str) -> Call:
        return begin(lambda: Asked(kind="tool", framework="test", tool=tool))

    outer = use("writer")
    with outer.running(), agent_runs("test", lambda: {"agent": "writer"}):
        use("search").returned("found")
    outer.returned("written")
    assert [event.tool for event in running.events()] == ["search", "writer"]


def test_an_agent_that_is_blocked_does_not_run(running: Meter) -> None:
    running.block(agent="writer")
    with pytest.raises(CallBlocked), agent_runs("test", lambda: {"agent": "writer"}):
        pytest.fail("it ran")


def test_steps_run_inside_and_their_consumer_outside(running: Meter) -> None:
    async def steps() -> AsyncGenerator[int, None]:
        for number in range(2):
            ask().used(Usage(input_tokens=number + 1))
            yield number

    async def run() -> None:
        call = begin(lambda: Asked(framework="outer", found={"agent": "writer"}))
        async for _ in stepped(steps(), Within(call)):
            ask().used(Usage(input_tokens=100))
        call.used(Usage())

    asyncio.run(run())
    assert [(event.agent, event.input_tokens) for event in running.events()] == [
        ("writer", 1),
        ("test", 100),
        ("writer", 2),
        ("test", 100),
    ]


def test_a_call_that_is_cut_leaves_the_bill_to_the_one_inside_that_goes_on(running: Meter) -> None:
    outer = ask()
    with outer.running():
        inner = ask()
    outer.aborted()
    assert running.events() == []
    inner.aborted(Usage(input_tokens=3, usage_missing=True))
    (event,) = running.events()
    assert (event.input_tokens, event.status) == (3, "aborted")


def test_a_call_whose_inner_call_is_lost_is_billed_itself(running: Meter) -> None:
    outer = ask()
    with outer.running():
        inner = ask()
    del inner
    outer.aborted()
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)


def test_calls_that_are_dropped_in_a_circle_are_billed_once(running: Meter) -> None:
    class Dropped:
        """Ends its call where it is let go of, as a stream does."""

        def __init__(self, call: Call) -> None:
            self.call = call
            self.other: Dropped | None = None

        def __del__(self) -> None:
            self.call.aborted()

    outer = Dropped(ask())
    with outer.call.running():
        inner = Dropped(ask())
    outer.other, inner.other = inner, outer
    del outer, inner
    gc.collect()
    assert [event.status for event in running.events()] == ["aborted"]
