"""A LangGraph agent with a budget of five cents: one line meters its models and its tools.

    pip install tollway langgraph langchain-openai
    OPENAI_API_KEY=... python langgraph_agent.py "What does a Kafka broker do?"

OPENAI_BASE_URL may name any server that speaks OpenAI's dialect, such as one of your own.
"""

import os
import sys

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from tollway import meter


@tool
def look_up(word: str) -> str:
    """Looks a word up in the glossary."""
    return f"{word}: a server that stores and serves messages"


def researcher() -> CompiledStateGraph:
    """The usual loop: the model asks for tools until it knows the answer."""
    key = os.environ.get("OPENAI_API_KEY", "a server of your own wants none")
    model = ChatOpenAI(model="gpt-4o", api_key=key).bind_tools([look_up])

    def think(state: MessagesState) -> dict[str, object]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([look_up]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile(name="researcher")


def main(question: str) -> None:
    meter.instrument("langchain")
    with meter.session(budget="0.05") as session:
        try:
            state = researcher().invoke({"messages": [("user", question)]})
            print(state["messages"][-1].content)
        except meter.CallBlocked as blocked:
            print(f"stopped: {blocked}")
            session.outcome(success=False)
    show(session.report())


def show(report: meter.Report) -> None:
    print(f"\nspent ${report['total_spent']:f} of ${report['budget']:f}")
    for kind, part in report["breakdown"].items():
        for name, share in part["by_name"].items():
            print(f"  {kind:5} {name:24} {share['calls']:3} calls  ${share['total']:f}")
    for warning in report["warnings"]:
        print(f"  {warning['level']}: {warning['message']}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "What does a Kafka broker do?")
