"""`instrument()` with the real client of OpenAI, in the environment that has it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from canned_providers import canned_providers
from peers import FRAMEWORKS

_PROGRAM = """
import json
import openai
from tollway.compat import apeiros

attached = apeiros.instrument("openai")
apeiros.start_session(budget=0.0005, customer_id="acme", task="answer")
client = openai.OpenAI()
for _ in range(2):
    response = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "CANARY"}]
    )
# The habit from before: it was counted already.
apeiros.wrap(response)
state = apeiros.get_state()
print(json.dumps({"attached": attached, "state": state, "end": apeiros.end_session()}))
"""


@pytest.mark.skipif(not FRAMEWORKS.exists(), reason="no frameworks here: make frameworks")
def test_calls_are_counted_once_with_wrap_or_without_and_none_is_stopped(tmp_path: Path) -> None:
    state = tmp_path / "tasks.jsonl"
    with canned_providers() as address:
        done = subprocess.run(
            [FRAMEWORKS, "-c", _PROGRAM],
            env={
                **os.environ,
                "TOLLWAY_STATE": str(state),
                "OPENAI_API_KEY": "sk-local",
                "OPENAI_BASE_URL": f"{address}/v1",
                "NO_PROXY": "127.0.0.1",
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    # 120 tokens in and 30 out, twice.
    assert told["attached"] == ["openai"]
    assert (told["state"]["total_cost"], told["state"]["calls"]) == (0.0012, 2)
    assert "budget_exceeded" in [warning["type"] for warning in told["end"]["warnings"]]
    assert "CANARY" not in state.read_text() + done.stdout + done.stderr
    record = json.loads(state.read_text())
    assert (record["customer_id"], record["task"], record["cost"]) == (
        *("acme", "answer"),
        "0.001200000000",
    )
