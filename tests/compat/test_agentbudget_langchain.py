"""The callback in real LangChain runs, in the environment that has it."""

import json
import subprocess
from typing import Any

import pytest

from peers import FRAMEWORKS

pytestmark = pytest.mark.skipif(not FRAMEWORKS.exists(), reason="no frameworks: make frameworks")

# One call costs 0.00325 dollars: 500 tokens in, 200 out, of gpt-4o.
_BEGINNING = """
import asyncio, json
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from tollway.compat.agentbudget import BudgetExhausted
from tollway.compat.agentbudget.integrations.langchain import LangChainBudgetCallback

calls = []

class Model(FakeMessagesListChatModel):
    def _generate(self, *args, **kwargs):
        calls.append("model")
        return super()._generate(*args, **kwargs)

def answer(number):
    return AIMessage(
        content="hello",
        usage_metadata={"input_tokens": 500, "output_tokens": 200, "total_tokens": 700},
        response_metadata={"model_name": "gpt-4o", "id": f"chatcmpl-{number}"},
    )

model = Model(responses=[answer(number) for number in range(5)])
ended = None
"""
_END = """
print(json.dumps({"calls": len(calls), "ended": ended, "report": callback.get_report()}))
"""


def ran(middle: str) -> dict[str, Any]:
    """What the program prints; Any: JSON."""
    done = subprocess.run(
        [FRAMEWORKS, "-c", _BEGINNING + middle + _END],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_run_is_ended_and_no_further_call_is_made() -> None:
    told = ran("""
with LangChainBudgetCallback(budget="$0.005") as callback:
    try:
        for _ in range(5):
            model.invoke("hi", config={"callbacks": [callback]})
    except BudgetExhausted as error:
        ended = error.spent
    try:
        asyncio.run(model.ainvoke("hi", config={"callbacks": [callback]}))
    except BudgetExhausted as error:
        ended = error.spent
""")

    assert told["calls"] == 2
    assert told["ended"] == told["report"]["total_spent"] == 0.0065
    assert told["report"]["terminated_by"] == "budget_exhausted"


def test_tools_cost_what_they_are_said_to_cost() -> None:
    told = ran("""
@tool
def search(query: str) -> str:
    "Searches."
    return query

with LangChainBudgetCallback(budget="$5.00", tool_costs={"search": 0.25}) as callback:
    search.invoke({"query": "a"}, config={"callbacks": [callback]})
    model.invoke("hi", config={"callbacks": [callback]})
""")

    assert told["report"]["breakdown"] == {
        "llm": {"total": 0.00325, "calls": 1, "by_model": {"gpt-4o": 0.00325}},
        "tools": {"total": 0.25, "calls": 1, "by_tool": {"search": 0.25}},
    }
    assert told["report"]["terminated_by"] is None
