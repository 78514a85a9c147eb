"""What a process metered, as metrics that the real SDK reads."""

from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from inference_spans import Traced, chat
from tollway import meter
from tollway.producers.otel import observe
from tollway.producers.otel.metrics import MAX_SERIES
from tollway.producers.testing import Meter

# A metric's value for each set of attributes.
Read = Callable[[str], dict[tuple[tuple[str, str], ...], float]]
GPT = (("gen_ai.provider.name", "openai"), ("gen_ai.response.model", "gpt-4o"))


@pytest.fixture
def read(running: Meter) -> Iterator[Read]:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    end = observe(provider)

    def value(name: str) -> dict[tuple[tuple[str, str], ...], float]:
        data = reader.get_metrics_data()
        assert data is not None
        return {
            tuple(sorted((key, str(of)) for key, of in (point.attributes or {}).items())): (
                point.value  # type: ignore[union-attr]  # counters and gauges have a value
            )
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    yield value
    end()
    provider.shutdown()


def _record(**more: object) -> None:
    meter.record(provider="openai", model="gpt-4o", input_tokens=100, output_tokens=20, **more)


def test_tokens_are_summed_by_provider_and_model(running: Meter, read: Read) -> None:
    _record(cache_read_tokens=60, cache_write_tokens=30, reasoning_tokens=5)
    _record()
    meter.record(provider="anthropic", model="claude-sonnet-4-5", input_tokens=7)

    claude = (
        ("gen_ai.provider.name", "anthropic"),
        ("gen_ai.response.model", "claude-sonnet-4-5"),
    )
    assert read("tollway.usage.input_tokens") == {GPT: 200, claude: 7}
    assert read("tollway.usage.output_tokens") == {GPT: 40, claude: 0}
    assert read("tollway.usage.cache_read.input_tokens") == {GPT: 60, claude: 0}
    assert read("tollway.usage.cache_write.input_tokens") == {GPT: 30, claude: 0}
    assert read("tollway.usage.reasoning.output_tokens") == {GPT: 5, claude: 0}


def test_spans_are_counted_like_anything_else(running: Meter, read: Read) -> None:
    traced = Traced()
    chat(traced.tracer, gen_ai__response__model="gpt-4o")

    assert read("tollway.usage.input_tokens") == {GPT: 46}


def test_a_call_that_two_adapters_report_counts_once(running: Meter, read: Read) -> None:
    _record(source="openai", id="chatcmpl-1")
    _record(source="openai", id="chatcmpl-1")

    assert read("tollway.usage.input_tokens") == {GPT: 100}
    assert read("tollway.events.recorded") == {(): 2}


def test_usage_that_nobody_said_is_a_number_of_its_own(running: Meter, read: Read) -> None:
    _record(usage_missing=True)

    assert read("tollway.usage.missing") == {GPT: 1}


def test_sessions_spend_is_shown_in_dollars(running: Meter, read: Read) -> None:
    with meter.session("1.00"):
        _record()

    # 100 tokens at $2.50 and 20 at $10.00 a million.
    assert read("tollway.session.spend") == {GPT: 0.00045}


def test_what_got_lost_is_told_by_reason(running: Meter, read: Read) -> None:
    meter.record(input_tokens=-1)
    running.outbox.room = 0
    _record()

    assert read("tollway.events.dropped") == {
        (("reason", "invalid"),): 1,
        (("reason", "queue_full"),): 1,
    }


def test_what_was_blocked_is_told(running: Meter, read: Read) -> None:
    running.block(model="gpt-4o")
    with pytest.raises(meter.CallBlocked):
        meter.check(model="gpt-4o")

    assert read("tollway.calls.blocked") == {(("reason", "blocked"),): 1}
    assert read("tollway.decisions") == {(): 1}


def test_models_without_number_do_not_make_metrics_without_number(
    running: Meter, read: Read
) -> None:
    for number in range(MAX_SERIES + 50):
        meter.record(provider="openai", model=f"model-{number}", input_tokens=1)

    told = read("tollway.usage.input_tokens")
    assert len(told) == MAX_SERIES + 1
    assert sum(told.values()) == MAX_SERIES + 50


def test_once_ended_nothing_more_is_added_up(running: Meter) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    end = observe(provider)
    end()
    _record()

    data = reader.get_metrics_data()
    assert data is not None
    names = {
        metric.name
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert "tollway.usage.input_tokens" not in names
    assert "tollway.events.recorded" in names
