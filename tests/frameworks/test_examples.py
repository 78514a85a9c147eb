"""The examples of the docs, run as processes of their own against recorded responses."""

import os
import subprocess
import sys
from pathlib import Path

from answering import ReplayServer
from recordings import recording

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def run(example: str, server: ReplayServer, *arguments: str) -> str:
    """What the example prints, with no broker and a provider that answers as recorded."""
    variables = {name: text for name, text in os.environ.items() if "TOLLWAY_" not in name}
    done = subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments],
        env={**variables, "OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_zero_infrastructure_agent_reports_what_it_spent(server: ReplayServer) -> None:
    asks_for_the_tool = recording("chat_completions__tools__gpt-4o__73a2c").edited(
        lambda body: body["choices"][0]["message"]["tool_calls"][0]["function"].update(
            name="look_up", arguments='{"word": "broker"}'
        )
    )
    answers = recording("chat_completions__plain__gpt-4o__0f050")
    server.on("/chat/completions", asks_for_the_tool.answer(), answers.answer())

    printed = run("zero_infrastructure.py", server, "What does a broker do? canary7Qx4")

    # 46 and 11 tokens at 2.50 and 10.00 dollars a million; 25 and 2 at 5.00 and 15.00; the tool.
    assert printed.splitlines() == [
        "Germany.",
        "",
        "spent $0.001380000000 of $0.050000000000",
        "  llm   gpt-4o-2024-08-06          1 calls  $0.000225000000",
        "  llm   gpt-4o-2024-05-13          1 calls  $0.000155000000",
        "  tools look_up                    1 calls  $0.001000000000",
    ]


def test_the_zero_infrastructure_agent_stops_at_its_budget(server: ReplayServer) -> None:
    dear = recording("chat_completions__tools__gpt-4o__73a2c").edited(
        lambda body: (
            body["usage"].update(prompt_tokens=30_000),
            body["choices"][0]["message"]["tool_calls"][0]["function"].update(
                name="look_up", arguments='{"word": "broker"}'
            ),
        )
    )
    server.on("/chat/completions", dear.answer())

    printed = run("zero_infrastructure.py", server, "What does a broker do? canary7Qx4")

    # 7.5 cents were paid for; the tool that it asks for is not run, and nothing more is asked.
    assert "stopped: session" in printed
    assert "spent $0.075110000000 of $0.050000000000" in printed
    assert len(server.requests) == 1
