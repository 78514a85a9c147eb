"""LangChain's handler: for one call or the process, twice, and above the SDKs' own adapters."""

import subprocess
import sys

import pytest

from answering import ReplayServer
from canary import PROMPT
from chat_models import PLAIN, STREAM, model, the_event
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters.langchain import callback_handler
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("langchain")

WAITS = """
import sys
from tollway import meter
from tollway.producers.testing import metered

with metered() as running:
    meter.instrument()
    assert "langchain_core" not in sys.modules
    from langchain_core.language_models.fake_chat_models import ParrotFakeChatModel
    ParrotFakeChatModel().invoke("hello")
    print([event.tags for event in running.events()])
"""


def test_it_waits_until_the_host_imports_langchain() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITS],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[{'framework': 'langchain'}]"]


@pytest.mark.framework("langchain", attach=False)
def test_the_handler_alone_meters_and_blocks(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    config = {"callbacks": [callback_handler()]}

    model(server).invoke(PROMPT, config)
    model(server).invoke(PROMPT)
    running.block(provider="openai")
    with pytest.raises(meter.CallBlocked):
        model(server).invoke(PROMPT, config)

    assert_usage(the_event(running), recording(PLAIN), provider="openai")
    assert len(server.requests) == 2


def test_two_handlers_on_a_call_count_it_once(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    handled = model(server, callbacks=[callback_handler()])

    handled.invoke(PROMPT, {"callbacks": [callback_handler()]})

    assert_usage(the_event(running), recording(PLAIN), provider="openai")


@pytest.mark.framework("langchain", also=("openai", "anthropic"))
def test_with_the_sdks_adapter_below_a_call_is_counted_once(
    server: ReplayServer, running: Meter
) -> None:
    plain, streamed = recording(PLAIN), recording(STREAM)
    server.on(
        "/chat/completions",
        lambda seen: (streamed if seen.json().get("stream") else plain).answer(),
    )

    model(server).invoke(PROMPT)
    # The SDK's adapter asks for the usage that LangChain has not asked for.
    list(model(server).stream(PROMPT))
    chunks = model(server).stream(PROMPT)
    next(chunks)
    # A call of the host's own between two chunks is no part of the stream.
    model(server).invoke(PROMPT)
    chunks.close()

    events = running.events()
    assert_usage(events[0], plain, provider="openai")
    assert_usage(events[1], streamed, provider="openai")
    assert [event.status for event in events] == ["ok", "ok", "ok", "aborted"]


def test_when_it_is_taken_off_nothing_is_metered(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    asked = model(server)

    meter.uninstrument("langchain")
    asked.invoke(PROMPT)
    meter.instrument("langchain")
    asked.invoke(PROMPT)

    assert len(server.requests) == 2
    assert_usage(the_event(running), recording(PLAIN), provider="openai")
