"""Laws: packing loses nothing, the same events say the same, and memory is bounded."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from detector_runs import START_MS, compat, production
from tollway.contract.command import Policy
from tollway.contract.usage import UsageEvent
from tollway.domain.detectors import Norm, RunWatch, Sighting, finish, observe, profile_of
from tollway.domain.usage import Usage

Step = tuple[UsageEvent, int, int]

names = st.sampled_from(["a", "b", "c"])
hashes = st.none() | names
tokens = st.sampled_from([0, 100, 199, 200, 1_000, 5_000, 12_000, 60_000, 90_000, 150_000])


@st.composite
def usage_events(draw: st.DrawFn) -> UsageEvent:
    return UsageEvent(
        id="call",
        time="2026-01-01T00:00:00.000Z",
        workspace="acme",
        agent="bot",
        kind=draw(st.sampled_from(["llm", "llm", "tool", "tool", "outcome", "loss"])),
        model=draw(hashes),
        tool=draw(hashes),
        input_tokens=draw(tokens),
        output_tokens=draw(tokens),
        tool_calls=draw(st.integers(0, 2)),
        prompt_hash=draw(hashes),
        args_hash=draw(hashes),
        result_hash=draw(hashes),
        result_tokens=draw(tokens),
        attempt=draw(st.integers(0, 1)),
    )


gaps = st.sampled_from([-5_000, 0, 1_000, 60_000, 299_000, 301_000, 3_600_000])
costs = st.sampled_from([0, 1, 10**9, 10**10, 10**12, 3 * 10**12, 10**26])
runs_of_steps = st.lists(st.tuples(usage_events(), gaps, costs), max_size=80)
policies = st.sampled_from(
    [compat(), compat("2"), production(), production("2"), production(spike_min_events=1)]
)


def replay(
    steps: list[Step], policy: Policy, watch: RunWatch, norm: Norm, at_ms: int
) -> tuple[list[list[Sighting] | None], int]:
    profile = profile_of(policy)
    heard = []
    for event, gap_ms, cost_pico in steps:
        at_ms += gap_ms
        heard.append(observe(watch, profile, norm, Usage(event), at_ms, cost_pico, 100_000))
    return heard, at_ms


def packed_as_json(watch: RunWatch, norm: Norm) -> str:
    return json.dumps([watch.pack(), norm.pack()])


@given(steps=runs_of_steps, at=st.integers(0, 80), policy=policies)
@settings(deadline=None)
def test_a_restored_watch_and_norm_go_on_as_if_they_had_never_stopped(
    steps: list[Step], at: int, policy: Policy
) -> None:
    watch, norm = RunWatch(), Norm()
    _, at_ms = replay(steps[:at], policy, watch, norm, START_MS)
    finish(watch, norm)
    watch_text, norm_text = json.dumps(watch.pack()), json.dumps(norm.pack())
    other_watch = RunWatch.restore(json.loads(watch_text))
    other_norm = Norm.restore(json.loads(norm_text))
    assert packed_as_json(other_watch, other_norm) == packed_as_json(watch, norm)

    went_on = replay(steps[at:], policy, watch, norm, at_ms)
    restored = replay(steps[at:], policy, other_watch, other_norm, at_ms)

    assert went_on == restored
    assert packed_as_json(other_watch, other_norm) == packed_as_json(watch, norm)


@given(steps=runs_of_steps, policy=policies)
@settings(deadline=None)
def test_the_same_events_always_say_the_same(steps: list[Step], policy: Policy) -> None:
    first = replay(steps, policy, RunWatch(), Norm(), START_MS)
    second = replay(steps, policy, RunWatch(), Norm(), START_MS)
    assert first == second


@given(steps=runs_of_steps, policy=policies)
@settings(deadline=None)
def test_an_event_says_each_detector_once_and_nothing_as_none(
    steps: list[Step], policy: Policy
) -> None:
    heard, _ = replay(steps, policy, RunWatch(), Norm(), START_MS)
    for sightings in heard:
        assert sightings != []
        detectors = [sighting.detector for sighting in sightings or []]
        assert len(set(detectors)) == len(detectors)


@given(steps=runs_of_steps)
@settings(deadline=None)
def test_only_spend_and_loops_block_and_only_in_production(steps: list[Step]) -> None:
    for policy, may_block in (
        (compat("2"), set()),
        (production("2"), {"budget_exceeded", "retry_loop"}),
    ):
        heard, _ = replay(steps, policy, RunWatch(), Norm(), START_MS)
        blocked = {one.detector for seen in heard for one in seen or [] if one.level == "block"}
        assert blocked <= may_block


@given(steps=st.lists(st.tuples(usage_events(), gaps, costs), min_size=1, max_size=10))
@settings(deadline=None)
def test_what_is_remembered_is_bounded(steps: list[Step]) -> None:
    for policy in (compat(), production()):
        watch, norm = RunWatch(), Norm()
        replay(steps * 200, policy, watch, norm, START_MS)
        for _ in range(200):
            norm.finished(10**12)
        assert len(json.dumps(watch.pack())) < 4_000
        assert len(norm.runs) <= 50
        assert len(norm.events) < 80


def test_the_longest_names_and_hashes_are_bounded_too() -> None:
    watch, profile = RunWatch(), profile_of(production())
    for number in range(500):
        long = f"{number:0512d}"
        event = UsageEvent(
            id="call", time="", workspace="acme", agent="bot", kind="tool", tool=long,
            args_hash=long, result_hash=long, result_tokens=20_000,
        )  # fmt: skip
        observe(watch, profile, Norm(), Usage(event), START_MS, 0, 0)
        call = UsageEvent(
            id="call", time="", workspace="acme", agent="bot", model=long, prompt_hash=long
        )
        if number % 100 == 0:
            observe(watch, profile, Norm(), Usage(call), START_MS, 0, 0)
    assert len(json.dumps(watch.pack())) < 16_000


@given(costs_pico=st.lists(st.integers(1, 10**15), max_size=300))
def test_a_norm_of_events_restores_at_any_moment(costs_pico: list[int]) -> None:
    norm = Norm()
    for cost_pico in costs_pico:
        norm.spent(cost_pico)
        again = Norm.restore(norm.pack())
        assert again.median_event_pico == norm.median_event_pico
        assert again.events_known == norm.events_known


def test_a_run_is_counted_once_however_it_ends() -> None:
    watch, norm = RunWatch(), Norm()
    watch.spent_pico = 7
    assert finish(watch, norm)
    watch.spent_pico = 9
    assert not finish(watch, norm)
    assert norm.runs == [7]


def test_lost_events_are_no_part_of_a_run() -> None:
    watch = RunWatch()
    loss = UsageEvent(id="x", time="", workspace="acme", agent="bot", kind="loss", lost={"full": 3})
    assert observe(watch, profile_of(production()), Norm(), Usage(loss), START_MS, 0, 0) is None
    assert (watch.events, watch.last_ms) == (0, 0)
