"""The usual agent of LangGraph, scripted: a model that asks for tools until it answers."""

from collections.abc import Callable
from typing import Any

from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import RetryPolicy

from answering import ReplayServer
from canary import PROMPT
from recordings import Recording, recording

__all__ = ["ANSWERS", "ASKED", "asks_for_tool", "graph", "look_up", "ran", "scripted"]

ANSWERS = "chat_completions__plain__gpt-4o__0f050"
ASKED = {"messages": [("user", PROMPT)]}
# The words that `look_up` was asked for.
ran: list[str] = []


def _look_up(word: str) -> str:
    """Looks a word up."""
    ran.append(word)
    if word == "fails":
        raise LookupError("no such word")
    return f"{word}: number 4711"


look_up: BaseTool = tool("look_up")(_look_up)


def asks_for_tool(name: str = "look_up", word: str = "broker") -> Recording:
    """A recorded call of a tool with the tool's name and arguments edited."""
    return recording("chat_completions__tools__gpt-4o__73a2c").edited(
        lambda body: body["choices"][0]["message"]["tool_calls"][0]["function"].update(
            name=name, arguments=f'{{"word": "{word}"}}'
        )
    )


def graph(
    server: ReplayServer,
    tools: list[BaseTool] | None = None,
    *,
    name: str | None = "researcher",
    handles_errors: bool = False,
    retry: RetryPolicy | None = None,
    before: Callable[[], object] = lambda: None,
    **compiled: Any,  # noqa: ANN401 (whatever `compile` takes)
) -> Any:  # noqa: ANN401 (a graph)
    """The usual agent: a model that asks for tools until it answers."""
    tools = tools or [look_up]
    model = ChatOpenAI(
        model="gpt-4o", base_url=f"{server.url}/v1", api_key="none", max_retries=0
    ).bind_tools(tools)

    async def think_async(state: MessagesState) -> dict[str, Any]:
        before()
        return {"messages": [await model.ainvoke(state["messages"])]}

    def think(state: MessagesState) -> dict[str, Any]:
        before()
        return {"messages": [model.invoke(state["messages"])]}

    built = StateGraph(MessagesState)
    built.add_node("think", RunnableLambda(think, think_async), retry_policy=retry)
    built.add_node("tools", ToolNode(tools, handle_tool_errors=handles_errors))
    built.add_edge(START, "think")
    built.add_conditional_edges("think", tools_condition)
    built.add_edge("tools", "think")
    return built.compile(name=name, **compiled)


def scripted(server: ReplayServer, *recordings: Recording) -> None:
    server.on("/chat/completions", *(each.answer() for each in recordings))
