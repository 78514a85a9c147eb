"""The example of the OpenAI Agents SDK, run as a process of its own against recorded responses."""

import os
import subprocess
import sys
from pathlib import Path

from answering import ReplayServer
from canary import PROMPT
from recordings import recording

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "openai_agents_agent.py"


def run(server: ReplayServer) -> list[str]:
    """What the example prints, with no broker and a provider that answers as recorded."""
    variables = {name: text for name, text in os.environ.items() if "TOLLWAY_" not in name}
    done = subprocess.run(
        [sys.executable, EXAMPLE, PROMPT],
        env={
            **variables,
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_KEY": "none",
            # Its traces would go to their vendor.
            "OPENAI_AGENTS_DISABLE_TRACING": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_agent_reports_what_it_spent(server: ReplayServer) -> None:
    asks = recording("responses__tools__gpt-4.1-nano__ba031")
    answers = recording("responses__plain__gpt-4o-mini__5ad30")
    server.on(asks.path, asks.answer(), answers.answer())

    printed = run(server)

    # 58 and 6 tokens at 0.10 and 0.40 dollars a million; 29 and 9 at 0.15 and 0.60.
    assert printed == [
        "2 + 2 = 4.",
        "",
        "researcher spent $0.000017950000 of $0.050000000000",
        "  llm   gpt-4.1-nano-2025-04-14  $0.000008200000",
        "  tool  get_weather              $0.000000000000",
        "  llm   gpt-4o-mini-2024-07-18   $0.000009750000",
    ]


def test_the_agent_stops_at_its_budget(server: ReplayServer) -> None:
    asks = recording("responses__tools__gpt-4.1-nano__ba031")
    dear = asks.edited(lambda body: body["usage"].update(input_tokens=600_000))
    server.on(dear.path, dear.answer())

    printed = run(server)

    # Six cents were paid for; the tool that it asks for is not run, and nothing more is asked.
    assert printed[0].startswith("stopped: session")
    assert "researcher spent $0.060002400000 of $0.050000000000" in printed
    assert len(server.requests) == 1
