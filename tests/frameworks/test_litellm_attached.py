"""LiteLLM's adapter: attached before the import, above another adapter, sessions at a time."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from answering import Answer, ReplayServer, Seen
from canary import PROMPT
from metered_once import assert_usage
from offline_litellm import MESSAGES, at, litellm
from recordings import recording
from tollway import meter
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("litellm")

PLAIN = "chat_completions__plain__gpt-4o__0f050"
STREAM = "chat_completions__stream__gpt-4__6d197"
WAITS = """
import sys
from tollway import meter
from tollway.producers.testing import metered

with metered() as running:
    meter.instrument()
    assert "litellm" not in sys.modules
    from litellm import completion
    completion("gpt-4o", [{"role": "user", "content": "PROMPT"}], mock_response="hello")
    print([event.tags for event in running.events()])
    meter.uninstrument()
    completion("gpt-4o", [{"role": "user", "content": "PROMPT"}], mock_response="hello")
    print(len(running.events()))
"""


def answers(server: ReplayServer) -> None:
    # Here, and not in the server's thread, where nobody would hear that they are absent.
    streamed, whole = recording(STREAM).answer(), recording(PLAIN).answer()

    def reply(seen: Seen) -> Answer:
        return streamed if seen.json().get("stream") else whole

    server.on("/chat/completions", reply)


def test_it_waits_until_the_host_imports_litellm() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITS],
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[{'framework': 'litellm'}]", "1"]


@pytest.mark.framework("litellm", also=("openai",))
def test_with_the_sdks_adapter_below_a_call_is_counted_once(
    server: ReplayServer, running: Meter
) -> None:
    answers(server)

    litellm().completion("gpt-4o", MESSAGES, litellm_session_id="run-1", **at(server))
    list(litellm().completion("gpt-4", MESSAGES, stream=True, **at(server)))
    chunks = litellm().completion("gpt-4", MESSAGES, stream=True, **at(server))
    next(chunks)
    chunks.close()

    first, second, third = running.events()
    assert_usage(first, recording(PLAIN), provider="openai")
    assert first.session == "run-1"
    assert_usage(second, recording(STREAM), provider="openai")
    assert third.status == "aborted"


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    numbers = iter(range(1000))
    whole = recording(PLAIN)
    server.on("/chat/completions", lambda _seen: whole.with_id(next(numbers)).answer())

    def in_thread(number: int) -> None:
        with meter.session(agent=f"agent-{number}", session=f"thread-{number}"):
            for step in range(5):
                messages = [{"role": "user", "content": f"{PROMPT} {step}"}]
                litellm().completion("gpt-4o", messages, **at(server))

    async def in_task(number: int) -> None:
        async with meter.session(agent=f"agent-{number}", session=f"task-{number}"):
            for step in range(5):
                messages = [{"role": "user", "content": f"{PROMPT} {step}"}]
                await litellm().acompletion("gpt-4o", messages, **at(server))

    async def tasks() -> None:
        await asyncio.gather(*map(in_task, range(4)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(in_thread, range(4)))
    asyncio.run(tasks())

    counted: dict[tuple[str, str | None], int] = {}
    for event in (event for event in running.events() if event.kind == "llm"):
        key = (event.agent, event.session)
        counted[key] = counted.get(key, 0) + 1
    assert counted == {
        (f"agent-{number}", f"{where}-{number}"): 5
        for number in range(4)
        for where in ("thread", "task")
    }
