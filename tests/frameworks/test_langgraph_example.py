"""The example of a LangGraph agent, run as a process of its own against recorded responses."""

import os
import subprocess
import sys
from pathlib import Path

from answering import ReplayServer
from canary import PROMPT
from graphs import ANSWERS, asks_for_tool, scripted
from recordings import recording

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "langgraph_agent.py"
# Two cores and a hundred packages to import.
STARTS_WITHIN_S = 150


def run_example(server: ReplayServer) -> list[str]:
    """The example as a process of its own, with no key and no broker."""
    inherited = {
        name: text
        for name, text in os.environ.items()
        if "TOLLWAY_" not in name and "OPENAI_" not in name
    }
    done = subprocess.run(
        [sys.executable, EXAMPLE, PROMPT],
        env={**inherited, "OPENAI_BASE_URL": f"{server.url}/v1"},
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_reports_what_its_graph_spent(server: ReplayServer) -> None:
    scripted(server, asks_for_tool(), recording(ANSWERS))

    # 46 and 11 tokens at 2.50 and 10.00 dollars a million; 25 and 2 at 5.00 and 15.00.
    assert run_example(server) == [
        "Germany.",
        "",
        "spent $0.000380000000 of $0.050000000000",
        "  llm   gpt-4o-2024-08-06          1 calls  $0.000225000000",
        "  llm   gpt-4o-2024-05-13          1 calls  $0.000155000000",
        "  tools look_up                    1 calls  $0.000000000000",
    ]


def test_the_example_stops_at_its_budget(server: ReplayServer) -> None:
    dear = asks_for_tool().edited(lambda body: body["usage"].update(prompt_tokens=30_000))
    scripted(server, dear)

    printed = run_example(server)

    assert printed[0].startswith("stopped: ")
    assert len(server.requests) == 1
