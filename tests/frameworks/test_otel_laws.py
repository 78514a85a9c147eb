"""Laws of trees of spans: each call is told once, and is its nearest agent's."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import Tracer
from opentelemetry.util.types import AttributeValue

from inference_spans import AGENT, ANSWERED, CHAT, Traced, chat
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter, metered

# What a span is, and what is inside: an agent by its name, a request, or a call of a model that
# was told of by so many emitters, one inside the other.
Tree = tuple[str, list["Tree"]] | int

TREES = st.recursive(
    st.integers(min_value=1, max_value=3),
    lambda inside: st.tuples(
        st.sampled_from(["ann", "bob", "GET /", "invoke_workflow"]), st.lists(inside, max_size=3)
    ),
    max_leaves=12,
)
AROUND: dict[str, dict[str, AttributeValue]] = {
    "ann": {**AGENT, "gen_ai.agent.name": "ann"},
    "bob": {**AGENT, "gen_ai.agent.name": "bob"},
    "GET /": {"http.request.method": "GET"},
    "invoke_workflow": {"gen_ai.operation.name": "invoke_workflow"},
}


class Walk:
    """Makes the spans of trees, and notes whose each call is."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.expected: dict[str, str] = {}

    def walk(self, tree: Tree, agent: str) -> None:
        if isinstance(tree, int):
            number = f"chatcmpl-{len(self.expected)}"
            self.expected[number] = agent
            self._call(number, tree)
            return
        name, inside = tree
        with self._tracer.start_as_current_span(name, attributes=AROUND[name]):
            for each in inside:
                self.walk(each, name if name in {"ann", "bob"} else agent)

    def _call(self, number: str, emitters: int) -> None:
        if emitters == 1:
            chat(self._tracer, gen_ai__response__id=number)
            return
        with self._tracer.start_as_current_span("chat", attributes=CHAT) as span:
            self._call(number, emitters - 1)
            span.set_attributes({**ANSWERED, "gen_ai.response.id": number})


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(trees=st.lists(TREES, max_size=3))
def test_each_call_is_told_once_and_is_its_nearest_agents(trees: list[Tree]) -> None:
    walk = Walk(Traced().tracer)
    with metered(agent="nobody") as memory:
        for tree in trees:
            walk.walk(tree, "nobody")

    told = [(event.id, event.agent) for event in memory.events()]
    assert sorted(told) == sorted(walk.expected.items())


@pytest.mark.parametrize("threads", [50])
def test_threads_tell_every_call_once(running: Meter, threads: int) -> None:
    traced = Traced()
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        start.wait()
        named = {**AGENT, "gen_ai.agent.name": f"agent-{number}"}
        for call in range(20):
            with traced.tracer.start_as_current_span("invoke_agent", attributes=named):
                chat(traced.tracer, gen_ai__response__id=f"{number}-{call}")

    working = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for each in working:
        each.start()
    for each in working:
        each.join()

    events: list[UsageEvent] = running.events()
    assert {(event.id, event.agent) for event in events} == {
        (f"{number}-{call}", f"agent-{number}") for number in range(threads) for call in range(20)
    }
    assert len(events) == threads * 20
    assert traced.spans.stats() == {"metered": threads * 20}
